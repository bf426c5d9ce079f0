import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { Redis } from 'ioredis'
import type { Server } from '../servers/daemon.ts'
import { alternate, cpuSeconds, printResult, rssMb } from './measure.ts'

export const clients = 200
export const updatesPerSecond = 250
const vehicles = 200
const seconds = 8
const rounds = 3
const channel = 'bench'
/** The server has one core for itself; load and clients share the other. */
const serverCore = '0'
const loadCore = '1'

type Send = (updates: { vehicle: string; timestamp: number; json: string }[]) => Promise<unknown>

const pinned = (core: string, ...args: string[]) => spawn('taskset', ['-c', core, process.execPath, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })

async function* linesOf(child: ChildProcess) {
  yield* createInterface({ input: child.stdout! })
}

/** Sends `updatesPerSecond` readings, a few every ten milliseconds, until it is aborted. */
async function load(send: Send, signal: AbortSignal): Promise<void> {
  const start = performance.now()
  for (let sent = 0; !signal.aborted; await sleep(10)) {
    const due = Math.floor(((performance.now() - start) / 1000) * updatesPerSecond)
    const timestamp = Date.now()
    const updates = Array.from({ length: due - sent }, (_, index) => {
      const vehicle = `veh-${String((sent + index) % vehicles).padStart(4, '0')}`
      const value = ((sent + index) % 1000) / 10
      const json = `{"update_type":"sensordata","vehicle_id":"${vehicle}","sensor_id":"pid_13_mode_1","values":[{"timestamp":${timestamp},"value":${value}}],"value":"${value}","timestamp":${timestamp}}`
      return { vehicle, timestamp, json }
    })
    sent = due
    if (updates.length > 0) await send(updates)
  }
}

async function measure(url: string, pid: number, send: Send) {
  const swarm = pinned(loadCore, new URL('swarm.ts', import.meta.url).pathname, url, String(clients))
  const answers = linesOf(swarm)
  const ask = async () => JSON.parse((await answers.next()).value as string) as Record<'frames' | 'delivered' | 'p50' | 'p99', number>
  const stop = new AbortController()
  try {
    await ask()
    const loading = load(send, stop.signal)
    await sleep(2_000)
    swarm.stdin!.write('begin\n')
    await ask()
    const cpu = cpuSeconds(pid)
    await sleep(seconds * 1_000)
    const spent = cpuSeconds(pid) - cpu
    swarm.stdin!.write('end\n')
    const { frames, delivered, p50, p99 } = await ask()
    stop.abort()
    await loading
    return {
      'CPU %': (spent / seconds) * 100,
      'CPU µs / delivered update': (spent * 1e6) / delivered,
      'delivered %': (delivered / (clients * updatesPerSecond * seconds)) * 100,
      'frames/s': frames / seconds,
      'p50 ms': p50,
      'p99 ms': p99,
      'RSS MB': rssMb(pid),
    }
  } finally {
    stop.abort()
    swarm.kill()
  }
}

const untilAnswers = async (url: string) => {
  for (let tries = 0; tries < 200; tries++, await sleep(50)) if (await fetch(url).then(() => true, () => false)) return
  throw new Error(`${url} does not answer`)
}

async function ours(redis: Server, port: number) {
  const hub = spawn('taskset', ['-c', serverCore, process.execPath, 'services/stream-hub/src/main.ts'], {
    env: { ...process.env, PORT: String(port), REDIS_URL: redis.url, LOG_LEVEL: 'error' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const log = createRedisLog({ url: redis.url })
  try {
    await untilAnswers(`http://127.0.0.1:${port}/readyz`)
    return await measure(`http://127.0.0.1:${port}`, hub.pid!, (updates) =>
      log.append(updates.map(({ vehicle, timestamp, json }) => ({ kind: 'sensordata', vehicle, sensor: 'pid_13_mode_1', eventTs: timestamp, json }))),
    )
  } finally {
    hub.kill()
    await log.close()
  }
}

async function broadcast(redis: Server, port: number) {
  const peer = pinned(serverCore, new URL('ws-broadcast.ts', import.meta.url).pathname, String(port), redis.url, channel)
  const publisher = new Redis(redis.url)
  try {
    await linesOf(peer).next()
    return await measure(`http://127.0.0.1:${port}`, peer.pid!, (updates) => Promise.all(updates.map(({ json }) => publisher.publish(channel, json))))
  } finally {
    peer.kill()
    publisher.disconnect()
  }
}

export async function benchHub(redis: Server, freePort: () => Promise<number>): Promise<void> {
  const rows = await alternate(rounds, {
    'stream-hub': async () => ours(redis, await freePort()),
    'npm ws, naive broadcast': async () => broadcast(redis, await freePort()),
  })
  const [hub, peer] = [rows['stream-hub'], rows['npm ws, naive broadcast']]
  printResult({
    title: 'hub: from Redis to browsers',
    conditions: { clients, 'updates/s': updatesPerSecond, vehicles, seconds, rounds, 'server core': serverCore, 'load core': loadCore },
    rows,
    ratios: {
      'CPU per delivered update, less than the peer': peer['CPU µs / delivered update'] / hub['CPU µs / delivered update'],
      'RSS, less than the peer': peer['RSS MB'] / hub['RSS MB'],
      'p99 age of an update on arrival, younger than the peer': peer['p99 ms'] / hub['p99 ms'],
    },
  })
}
