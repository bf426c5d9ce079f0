import { vehicleId } from './hub/fleet.ts'
import { alternate, cpuSeconds, printResult, type Bench } from './measure.ts'
import { linesOf, loadCore, measuredCore, runPinned, script } from './processes.ts'
import type { Load, Loaded } from './rest/load.ts'
import type { ServedFleet } from './rest/server.ts'

const fleet: ServedFleet = { vehicles: 10_000, readings: 20_000 }
const connections = 16

type Question = { path: string; headers: Record<string, string>; movesPerSecond: number }

const plain = { Cookie: 'flasktoria_client=a-client-of-the-bench' }
const gzip = { ...plain, 'Accept-Encoding': 'gzip' }
const questions: Record<string, Question> = {
  'the map, nothing moves': { path: '/api/map', headers: plain, movesPerSecond: 0 },
  'the map as gzip, nothing moves': { path: '/api/map', headers: gzip, movesPerSecond: 0 },
  'the map as gzip, 2,000 positions a second': { path: '/api/map', headers: gzip, movesPerSecond: 2_000 },
  'a vehicle, a reading a second': { path: `/api/vehicle/${vehicleId(0)}`, headers: plain, movesPerSecond: 0 },
  '20,000 readings': {
    path: `/api/sensordata/${vehicleId(1)}?sensor_ids=pid_13_mode_1&start_ts=0`,
    headers: plain,
    movesPerSecond: 0,
  },
}

/** What REST answers cost, against the same answers written anew for each request by the same libraries. */
export async function benchRest({ rounds, isQuick }: Bench): Promise<void> {
  const seconds = isQuick ? 1 : 4
  const server = runPinned(measuredCore, [script('rest/server.ts'), JSON.stringify(fleet)])
  try {
    const urls: Record<string, string> = JSON.parse((await linesOf(server).next()).value ?? '')
    for (const [title, { path, headers, movesPerSecond }] of Object.entries(questions)) {
      server.stdin.write(`${movesPerSecond}\n`)
      const measure = (origin: string) => () => load(server.pid!, { url: origin + path, headers, connections, seconds })
      const rows = await alternate(
        rounds,
        Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, measure(url)])),
      )
      const [ours, theirs] = Object.values(rows) as [Measured, Measured]
      printResult({
        title: `rest: ${title}`,
        conditions: { ...fleet, connections, rounds, seconds },
        rows,
        ratios: { 'CPU, written for each request / ours': theirs['CPU µs / request'] / ours['CPU µs / request'] },
      })
    }
  } finally {
    server.kill()
  }
}

type Measured = Awaited<ReturnType<typeof load>>

async function load(pid: number, plan: Load) {
  const before = cpuSeconds(pid)
  const client = runPinned(loadCore, [script('rest/load.ts'), JSON.stringify(plan)])
  const { requests, seconds: took, ...rest }: Loaded = JSON.parse((await linesOf(client).next()).value ?? '')
  const cpu = cpuSeconds(pid) - before
  return {
    'requests / s': requests / took,
    'requests / CPU-s': requests / cpu,
    'CPU µs / request': (cpu * 1e6) / requests,
    ...rest,
  }
}
