import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { busySeconds, cpuSeconds, rssMb, type Figures } from '../measure.ts'
import { loadCore, measuredCore } from '../processes.ts'
import type { Traffic } from './bare-send.ts'
import type { Contestant, Place } from './contestants.ts'
import type { Native } from './native.ts'
import { shareOf, type Scenario } from './scenarios.ts'
import { startSwarm, type Swarm } from './swarm.ts'
import { startWriter, type Writer } from './writer.ts'

const warmUpSeconds = 3
const stallSeconds = 10

export type Run = Place & { scenario: Scenario; clients: number; seconds: number; native: Native; redisPid: number }

async function emptyRedis(url: string): Promise<void> {
  const redis = new Redis(url)
  await redis.flushall()
  redis.disconnect()
}

type Pids = { server: number; swarm: number; others: number[] }

/** What a time of constant load costs, and what arrives. */
async function measureWindow({ scenario, clients, seconds }: Run, swarm: Swarm, pids: Pids) {
  const clock = () => ({
    server: cpuSeconds(pids.server),
    swarm: cpuSeconds(pids.swarm),
    known: [pids.server, pids.swarm, ...pids.others].reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    busy: busySeconds([measuredCore, loadCore]),
  })
  const { errors } = await swarm.count()
  const before = clock()
  await sleep(seconds * 1_000)
  const after = clock()
  const counts = await swarm.count()
  if (errors + counts.errors > 0) throw new Error('the clients were answered with errors; the first one stands above')
  if (counts.updates === 0) throw new Error('no update reached a client')
  const spent = after.server - before.server
  const percent = (cpu: number) => (cpu / counts.seconds) * 100
  const wanted = clients * scenario.updatesPerSecond * shareOf(scenario) * counts.seconds
  const traffic: Traffic = {
    clients,
    bytesPerFrame: counts.bytes / counts.messages,
    framesPerSecond: counts.messages / counts.seconds / clients,
  }
  const figures: Figures = {
    clients,
    'CPU %': percent(spent),
    'CPU µs / update': (spent * 1e6) / counts.updates,
    'CPU µs / frame': (spent * 1e6) / counts.messages,
    'delivered %': (counts.updates / wanted) * 100,
    'p50 ms': counts.p50Ms,
    'p99 ms': counts.p99Ms,
    'RSS MB': rssMb(pids.server),
    cut: counts.closed,
    'swarm CPU %': percent(after.swarm - before.swarm),
    'foreign CPU %': Math.max(0, percent(after.busy - before.busy - (after.known - before.known))),
  }
  return { figures, traffic }
}

/** A tenth of the clients does not read for a while: what the others feel, and when the tenth is there again. */
async function stall({ clients }: Run, swarm: Swarm): Promise<Figures> {
  swarm.stall(Math.ceil(clients / 10))
  await swarm.count()
  await sleep(stallSeconds * 1_000)
  const { p99Ms } = await swarm.count()
  await swarm.read()
  const { of, count, lastMs, lost } = await swarm.current()
  return { 'p99 while ms': p99Ms, 'current after ms': count + lost < of ? NaN : lastMs, cut: lost }
}

async function storm(swarm: Swarm): Promise<Figures> {
  const { of, count, openMs, p50Ms, lastMs } = await swarm.storm()
  return { 'connected ms': openMs, 'picture p50 ms': p50Ms, 'whole picture ms': count < of ? NaN : lastMs }
}

/** The part of the clients who see the last word of each vehicle, soon after it was written. */
async function converge(swarm: Swarm, writer: Writer): Promise<number> {
  // All that was written before is older than the next millisecond, and what comes is not.
  await swarm.expect(Date.now() + 1)
  await sleep(2)
  writer.lap()
  const { count, of } = await swarm.picture()
  return (count / of) * 100
}

/** One contestant in one scenario, from an empty Redis on. */
export async function runScenario(contestant: Contestant, run: Run): Promise<{ figures: Figures; traffic: Traffic }> {
  const { scenario, clients, native, redisPid, dir } = run
  await emptyRedis(run.redisUrl)
  using server = await contestant.start(scenario, run)
  using writer = await startWriter({ ...server.target, updatesPerSecond: scenario.updatesPerSecond })
  using swarm = await startSwarm({ program: native.swarm, dir, clients, ...server })
  writer.start()
  await sleep(warmUpSeconds * 1_000)
  const pids = { server: server.pid, swarm: swarm.pid, others: [writer.pid, redisPid, process.pid] }
  const { figures, traffic } = await measureWindow(run, swarm, pids)
  if (scenario.event === 'stall') Object.assign(figures, await stall(run, swarm))
  if (scenario.event === 'storm') Object.assign(figures, await storm(swarm))
  await writer.stop()
  if (server.picture !== undefined) figures['converged %'] = await converge(swarm, writer)
  return { figures, traffic }
}
