import { join } from 'node:path'
import { freePort } from '../servers/daemon.ts'
import { startRedis } from '../servers/redis.ts'
import { say } from '../servers/run.ts'
import { runBareSend, type Traffic } from './hub/bare-send.ts'
import { createCentrifugo } from './hub/centrifugo.ts'
import { batchingWs, naiveWs, ours, type Contestant } from './hub/contestants.ts'
import { allowClients } from './hub/file-limit.ts'
import { vehicles } from './hub/fleet.ts'
import { buildNative } from './hub/native.ts'
import { runScenario, type Run } from './hub/run-scenario.ts'
import { scenarios, type Scenario } from './hub/scenarios.ts'
import { alternate, BadArguments, printResult, printTable, type Bench, type Figures } from './measure.ts'
import { pinToLoad } from './processes.ts'

const hub = 'stream-hub'
const floor = 'bare send()'

function findPeers(): Record<string, Contestant> {
  const centrifugo = process.env['CENTRIFUGO_BIN']
  if (!centrifugo) say('CENTRIFUGO_BIN names no Centrifugo: the benchmark runs without it')
  return {
    'npm ws, naive': naiveWs,
    'npm ws, batching': batchingWs,
    ...(centrifugo && { Centrifugo: createCentrifugo(centrifugo) }),
  }
}

const compared = [
  'CPU %',
  'CPU µs / update',
  'delivered %',
  'p50 ms',
  'p99 ms',
  'RSS MB',
  'p99 while ms',
  'current after ms',
  'whole picture ms',
]

/** Of two contestants: each figure as a part of the other's. */
const compare = (one: Figures, other: Figures): Figures => ({
  'their clients': other['clients']!,
  ...Object.fromEntries(compared.filter((name) => name in one).map((name) => [name, one[name]! / other[name]!])),
})

function print(name: string, scenario: Scenario, rows: Record<string, Figures>, { seconds, rounds }: Bench): void {
  const { updatesPerSecond, sees, maxRateHz } = scenario
  const { [hub]: own, [floor]: bare, ...peers } = rows
  printResult({
    title: `hub, ${name}: from Redis to browsers`,
    conditions: { 'updates/s': updatesPerSecond, vehicles, sees, ...(maxRateHz && { maxRateHz }), seconds, rounds },
    rows,
    ratios: { 'one frame to one client, ours / bare send()': own!['CPU µs / frame']! / bare!['CPU µs / frame']! },
  })
  console.log()
  printTable(
    'ours / theirs',
    Object.fromEntries(Object.entries(peers).map(([peer, row]) => [peer, compare(own!, row)])),
  )
}

async function measureScenario(
  name: string,
  peers: Record<string, Contestant>,
  place: Omit<Run, 'scenario' | 'clients' | 'seconds' | 'hubFramesPerSecond'>,
  { rounds, seconds }: Bench,
): Promise<Record<string, Figures>> {
  const scenario = scenarios[name]!
  say(`${name}: ${scenario.clients} clients, ${scenario.updatesPerSecond} updates/s …`)
  const [able, unable] = [true, false].map((can) =>
    Object.entries(peers).filter(([, peer]) => peer.carries(scenario) > 0 === can),
  )
  for (const [peer] of unable!) say(`${peer} has nothing like ${name}, and is left out`)
  // The first round begins with ours, which says what the others are to be measured by.
  let traffic: Traffic = { clients: 0, bytesPerFrame: 0, framesPerSecond: NaN }
  const start = (contestant: Contestant) =>
    runScenario(contestant, {
      ...place,
      scenario,
      seconds,
      clients: contestant.carries(scenario),
      hubFramesPerSecond: traffic.framesPerSecond,
    })
  return alternate(rounds, {
    [hub]: async () => {
      const { figures, traffic: latest } = await start(ours)
      traffic = latest
      return figures
    },
    [floor]: () => runBareSend(traffic, place.native, { dir: place.dir, seconds }),
    ...Object.fromEntries(able!.map(([peer, contestant]) => [peer, async () => (await start(contestant)).figures])),
  })
}

/** From Redis to browsers: stream-hub against what else one would take, and against the floor. */
export async function benchHub(bench: Bench): Promise<void> {
  const { dir, cleanup } = bench
  const chosen = bench.scenarios
  const unknown = chosen.filter((name) => !(name in scenarios))
  if (unknown.length > 0)
    throw new BadArguments(`there is no scenario ${unknown.join(', ')}; there are ${Object.keys(scenarios).join(', ')}`)
  await allowClients(Math.max(...chosen.map((name) => scenarios[name]!.clients)))
  const peers = findPeers()
  const native = await buildNative()
  const redis = await startRedis({ dir: join(dir, 'redis'), port: await freePort(), isPersistent: false })
  cleanup.defer(() => redis.stop())
  await pinToLoad(redis)
  const place = { dir, native, redisUrl: redis.url, redisPid: redis.pid }
  for (const name of chosen) print(name, scenarios[name]!, await measureScenario(name, peers, place, bench), bench)
}
