import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sentence } from './run.ts'

/** How to start one process that may outlive its starter. Plain data, so that it can be kept in a file. */
export type DaemonPlan = {
  /** Names `<dir>/<name>.pid` and `<dir>/log/<name>.log`. */
  name: string
  dir: string
  command: readonly [string, ...string[]]
  /** Where it will listen on 127.0.0.1. */
  port?: number
  /** Beside the environment of the starter. */
  env?: Record<string, string>
  cwd?: string
}

export type Daemon = {
  pid: number
  /** Asks it to end; after 20 seconds it has to. */
  stop(): Promise<void>
  /** As a crash would. */
  kill(): Promise<void>
}

/** A running server that others can use. */
export type Server = Daemon & { url: string }

export const logFile = ({ dir, name }: DaemonPlan) => join(dir, 'log', `${name}.log`)
/** Not NAME.pid: nginx writes that itself. */
const pidFile = ({ dir, name }: Pick<DaemonPlan, 'dir' | 'name'>) => join(dir, `${name}.process`)

/** When the kernel started a process, in its ticks since boot; undefined when there is no such process, or only its zombie. */
function startedAt(pid: number): string | undefined {
  try {
    // The name in parentheses may hold spaces; what follows it does not. See proc(5): field 3 stands first here.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const [state, threads, startTime] = [fields[0], Number(fields[17]), fields[19]]
    // A killed process is a zombie before its other threads have let go of its ports.
    return state === 'Z' && threads <= 1 ? undefined : startTime
  } catch {
    return undefined
  }
}

/** False for a zombie too: what has ended may wait long for a slow init to take note of it. */
export const isRunning = (pid: number): boolean => startedAt(pid) !== undefined

/** Signals a whole process group; false when it is gone. */
function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

async function untilGone(pid: number, withinMs: number): Promise<boolean> {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(25))
    if (startedAt(pid) === undefined) return true
  return startedAt(pid) === undefined
}

async function end(file: string, pid: number, signal: NodeJS.Signals) {
  try {
    // Only the leader is asked: nginx's workers and the like are its own business.
    process.kill(pid, signal)
  } catch {
    // gone already
  }
  if (!(await untilGone(pid, 20_000))) signalGroup(pid, 'SIGKILL')
  await untilGone(pid, 5_000)
  signalGroup(pid, 'SIGKILL')
  rmSync(file, { force: true })
}

/** The process that a plan of this name started in this folder, if it still runs. A recycled pid is not mistaken for it. */
export function findDaemon(place: Pick<DaemonPlan, 'dir' | 'name'>): Daemon | undefined {
  const file = pidFile(place)
  if (!existsSync(file)) return undefined
  const [pid, started] = readFileSync(file, 'utf8').trim().split(' ')
  if (!pid || !started || startedAt(Number(pid)) !== started) return undefined
  return {
    pid: Number(pid),
    stop: () => end(file, Number(pid), 'SIGTERM'),
    kill: () => end(file, Number(pid), 'SIGKILL'),
  }
}

/** What a killed leader left of its process group still holds its port. A group without its leader can only be ours. */
function sweepOrphans(plan: DaemonPlan) {
  if (!existsSync(pidFile(plan))) return
  const pid = Number.parseInt(readFileSync(pidFile(plan), 'utf8'), 10)
  if (pid > 1 && startedAt(pid) === undefined) signalGroup(pid, 'SIGKILL')
}

/** Starts a process in a session of its own. Its log is appended to. */
export async function launch(plan: DaemonPlan): Promise<Daemon> {
  sweepOrphans(plan)
  mkdirSync(join(plan.dir, 'log'), { recursive: true })
  const log = openSync(logFile(plan), 'a')
  const [program, ...args] = plan.command
  const child = spawn(program, args, {
    cwd: plan.cwd ?? plan.dir,
    env: { ...process.env, ...plan.env },
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new Sentence(`${program} did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  child.unref()
  const pid = child.pid!
  // A reader sees the whole file or the old one.
  writeFileSync(`${pidFile(plan)}.new`, `${pid} ${startedAt(pid) ?? 0}\n`)
  renameSync(`${pidFile(plan)}.new`, pidFile(plan))
  return {
    pid,
    stop: () => end(pidFile(plan), pid, 'SIGTERM'),
    kill: () => end(pidFile(plan), pid, 'SIGKILL'),
  }
}

/** Waits until `isReady` says so. A process that ends before, or takes too long, is an error with the end of its log. */
async function untilReady(plan: DaemonPlan, isReady: () => Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await isReady())) {
    const isAlive = findDaemon(plan) !== undefined
    if (isAlive && Date.now() < deadline) {
      await sleep(100)
      continue
    }
    const last = readFileSync(logFile(plan), 'utf8').trimEnd().split('\n').slice(-8).join('\n')
    const what = isAlive ? `does not answer after ${withinMs / 1000} s` : 'ended while it started'
    throw new Sentence(`${plan.name} ${what}. The end of ${logFile(plan)}:\n${last}`)
  }
}

/** Whether somebody listens on a TCP port. */
export const isListening = (port: number, host = '127.0.0.1') =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 })
    const settle = (isUp: boolean) => {
      socket.destroy()
      resolve(isUp)
    }
    socket.on('connect', () => settle(true))
    socket.on('error', () => settle(false)).on('timeout', () => settle(false))
  })

/** Starts a process, or finds it running, and waits until it answers. One that never does is stopped again. */
export async function startDaemon(
  plan: DaemonPlan,
  isReady: () => Promise<boolean>,
  withinMs: number,
): Promise<Daemon> {
  const running = findDaemon(plan)
  if (!running && plan.port !== undefined && (await isListening(plan.port)))
    throw new Sentence(`${plan.name} wants port ${plan.port}, which another program has`)
  const daemon = running ?? (await launch(plan))
  try {
    await untilReady(plan, isReady, withinMs)
  } catch (error) {
    await daemon.kill()
    throw error
  }
  return daemon
}

/** A TCP port of 127.0.0.1 that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address')
  return address.port
}
