import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { Redis } from 'ioredis'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../servers/daemon.ts'
import { startRedis } from '../servers/redis.ts'
import { alternate, cpuSeconds, printResult, rssMb, type Bench } from './measure.ts'
import { answersOk, linesOf, loadCore, measuredCore, runPinned, script, until } from './processes.ts'

const clients = 200
const updatesPerSecond = 250
const vehicles = 200
const warmUpSeconds = 2
const seconds = 8
const channel = 'bench'

type Reading = { vehicle: string; timestamp: number; json: string }
type Send = (readings: Reading[]) => Promise<unknown>

/** Readings from `first` up to `end`, all of now. */
const readings = (first: number, end: number): Reading[] => {
  const timestamp = Date.now()
  return Array.from({ length: end - first }, (_, index) => {
    const vehicle = `veh-${String((first + index) % vehicles).padStart(4, '0')}`
    const value = ((first + index) % 1_000) / 10
    const json = `{"update_type":"sensordata","vehicle_id":"${vehicle}","sensor_id":"pid_13_mode_1","values":[{"timestamp":${timestamp},"value":${value}}],"value":"${value}","timestamp":${timestamp}}`
    return { vehicle, timestamp, json }
  })
}

/** Sends what is due every ten milliseconds, until it is aborted. */
async function load(send: Send, signal: AbortSignal): Promise<void> {
  const start = performance.now()
  for (let sent = 0; !signal.aborted; await sleep(10)) {
    const due = Math.floor(((performance.now() - start) / 1_000) * updatesPerSecond)
    if (due > sent) await send(readings(sent, due))
    sent = due
  }
}

type Counts = Record<'frames' | 'delivered' | 'p50' | 'p99', number>

async function measure(port: number, pid: number, send: Send) {
  const swarm = runPinned(loadCore, [script('swarm.ts'), `http://127.0.0.1:${port}`, String(clients)])
  const answers = linesOf(swarm)
  const counts = async (): Promise<Counts> => {
    swarm.stdin.write('\n')
    return JSON.parse((await answers.next()).value ?? '')
  }
  const stop = new AbortController()
  const loading = answers.next().then(() => load(send, stop.signal))
  try {
    await sleep(warmUpSeconds * 1_000)
    await counts()
    const before = cpuSeconds(pid)
    await sleep(seconds * 1_000)
    const spent = cpuSeconds(pid) - before
    const { frames, delivered, p50, p99 } = await counts()
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
    await loading
    swarm.kill()
  }
}

async function runHub(redisUrl: string) {
  const port = await freePort()
  const hub = runPinned(measuredCore, ['services/stream-hub/src/main.ts'], {
    PORT: String(port),
    REDIS_URL: redisUrl,
    LOG_LEVEL: 'error',
  })
  const log = createRedisLog({ url: redisUrl })
  try {
    await until(() => answersOk(`http://127.0.0.1:${port}/readyz`), 'the hub')
    return await measure(port, hub.pid!, (batch) =>
      log.append(
        batch.map(({ vehicle, timestamp, json }) => ({
          kind: 'sensordata',
          vehicle,
          sensor: 'pid_13_mode_1',
          eventTs: timestamp,
          json,
        })),
      ),
    )
  } finally {
    hub.kill()
    await log.close()
  }
}

async function runBroadcast(redisUrl: string) {
  const port = await freePort()
  const peer = runPinned(measuredCore, [script('ws-broadcast.ts'), String(port), redisUrl, channel])
  const publisher = new Redis(redisUrl)
  try {
    await linesOf(peer).next()
    return await measure(port, peer.pid!, (batch) =>
      Promise.all(batch.map(({ json }) => publisher.publish(channel, json))),
    )
  } finally {
    peer.kill()
    publisher.disconnect()
  }
}

/** From Redis to browsers: stream-hub against a server that sends each update to each client as it comes. */
export async function benchHub({ dir, rounds, cleanup }: Bench): Promise<void> {
  const redis = await startRedis({ dir: join(dir, 'redis'), port: await freePort(), isPersistent: false })
  cleanup.defer(() => redis.stop())
  const rows = await alternate(rounds, {
    'stream-hub': () => runHub(redis.url),
    'npm ws, naive broadcast': () => runBroadcast(redis.url),
  })
  const { 'stream-hub': hub, 'npm ws, naive broadcast': peer } = rows
  printResult({
    title: 'hub: from Redis to browsers',
    conditions: { clients, 'updates/s': updatesPerSecond, vehicles, seconds, rounds },
    rows,
    ratios: {
      'CPU per delivered update, peer / ours': peer['CPU µs / delivered update'] / hub['CPU µs / delivered update'],
      'memory, peer / ours': peer['RSS MB'] / hub['RSS MB'],
      'age of an update on arrival (p99), peer / ours': peer['p99 ms'] / hub['p99 ms'],
    },
  })
}
