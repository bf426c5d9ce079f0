import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../servers/run.ts'

/** What is measured has one core for itself; load and clients share the other. */
export const measuredCore = '0'
export const loadCore = '1'

const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach((child) => child.kill()))

/** A program on one core, which does not outlive us. Its errors are shown, its output is read by `linesOf`. */
export function pin(core: string, command: readonly [string, ...string[]], env: Record<string, string> = {}) {
  const child = spawn('taskset', ['-c', core, ...command], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  // One that ends early shows in its output, not in what we wanted to tell it.
  child.stdin.on('error', () => {})
  return child
}

/** We, and the servers that what is measured talks to, must not disturb it. */
export async function pinToLoad(...servers: { pid: number }[]): Promise<void> {
  for (const { pid } of [process, ...servers]) await run(['taskset', '-a', '-p', '-c', loadCore, String(pid)])
}

/** A Node program on one core. */
export const runPinned = (core: string, [program, ...args]: [string, ...string[]], env: Record<string, string> = {}) =>
  pin(core, [process.execPath, program, ...args], env)

export async function* linesOf(child: ChildProcess): AsyncGenerator<string, undefined> {
  yield* createInterface({ input: child.stdout! })
}

export const script = (name: string) => new URL(name, import.meta.url).pathname

/** Asks again until `isSo`. @throws after 60 seconds, or when the process that was to bring it ends */
export async function until(isSo: () => Promise<boolean>, what: string, child?: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(20)) {
    if (await isSo()) return
    if (child && (child.exitCode ?? child.signalCode) !== null) throw new Error(`${what} ended while it started`)
  }
  throw new Error(`${what} did not come within a minute`)
}

export const answersOk = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
