import { setImmediate as yieldToOthers, setTimeout as delay } from 'node:timers/promises'
import { FleetEncoder, type EncoderOptions } from './encode-fleet.ts'
import { streams, type RecordBatch, type Stream } from './simulator-batch.ts'
import { Dirt, dirtKinds, type DirtKind } from './simulator-dirt.ts'
import { Fleet, type FleetOptions } from './simulator-fleet.ts'

export interface SimulatorTarget {
  /** Resolves when the records are safe there. One at a time. */
  write(batch: RecordBatch): Promise<void>
  close(): Promise<void>
}

/** How fast: times the clock, or records a second, or as fast as can be. */
export type Pace = { speed: number } | { rate: number } | 'max'

export type Simulation = {
  fleet: FleetOptions
  form: Omit<EncoderOptions, 'vehicles'>
  dirt: number
  pace: Pace
  /** Event time of the first records, epoch ms. */
  startTs: number
  /** Of its life. */
  durationMs: number
}

/** What arrived. */
export type Tally = {
  records: Record<Stream, number>
  bytes: number
  /** What the fleet lived, and how long that took. */
  livedMs: number
  tookMs: number
  dirt: Record<DirtKind, number>
}

/** What is under way to the target when it ends may take so long to arrive; then it does not count. */
const patienceMs = 5_000
/** A batch is not larger, nor ever smaller than a turn. */
const fullBatch = 2_000

/**
 * Lets a fleet live until it is over, or the signal comes. While a batch is under way the next one is made, and no more: the
 * target sets the pace when it is slower. What the records are depends on nothing but the simulation's seed and start.
 */
export async function simulate(simulation: Simulation, target: SimulatorTarget, signal: AbortSignal): Promise<Tally> {
  const fleet = new Fleet(simulation.fleet)
  const encoder = new FleetEncoder({ ...simulation.form, vehicles: simulation.fleet.vehicles })
  const dirt = simulation.dirt > 0 ? new Dirt(encoder, simulation.dirt, simulation.fleet.seed) : undefined
  const tally = emptyTally(dirt)
  const begunAt = performance.now()
  let made = 0
  const dueAt = () => begunAt + dueAfter(simulation.pace, made + encoder.batch.count, fleet.elapsedMs)
  const isOver = () => signal.aborted || fleet.elapsedMs >= simulation.durationMs
  let writing: Promise<void> = Promise.resolve()
  while (!isOver()) {
    do {
      encoder.ts = simulation.startTs + Math.floor(fleet.elapsedMs)
      dirt?.deliverLate()
      fleet.nextTurn(dirt ?? encoder)
    } while (encoder.batch.count < fullBatch && !isOver() && dueAt() <= performance.now())
    const batch = encoder.take()
    made += batch.count
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    if (!(await isDone(writing, signal))) return tally
    writing = target.write(batch).then(() => add(tally, batch, fleet.elapsedMs, begunAt))
    writing.catch(() => {})
    // oxlint-disable-next-line no-await-in-loop -- the clock
    await until(dueAt(), signal)
  }
  await isDone(writing, signal)
  return tally
}

const dueAfter = (pace: Pace, records: number, elapsedMs: number): number => {
  if (pace === 'max') return 0
  return 'speed' in pace ? elapsedMs / pace.speed : (records / pace.rate) * 1_000
}

/** Waits for the target; after the signal not for long. */
const isDone = (writing: Promise<void>, signal: AbortSignal): Promise<boolean> =>
  new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const losePatience = () => {
      timer = setTimeout(resolve, patienceMs, false)
    }
    if (signal.aborted) losePatience()
    else signal.addEventListener('abort', losePatience, { once: true })
    const answered = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', losePatience)
    }
    writing.finally(answered).then(() => resolve(true), reject)
  })

async function until(dueAt: number, signal: AbortSignal): Promise<void> {
  const ms = dueAt - performance.now()
  if (ms >= 1) await delay(ms, undefined, { signal }).catch(() => {})
  else await yieldToOthers()
}

const emptyTally = (dirt: Dirt | undefined): Tally => ({
  records: { sensor: 0, 'sensor-v5': 0, anomaly: 0 },
  bytes: 0,
  livedMs: 0,
  tookMs: 0,
  dirt: dirt?.counts ?? (Object.fromEntries(dirtKinds.map((kind) => [kind, 0])) as Tally['dirt']),
})

function add(tally: Tally, batch: RecordBatch, livedMs: number, begunAt: number): void {
  for (let record = 0; record < batch.count; record++) tally.records[streams[batch.stream(record)]!] += 1
  tally.bytes += batch.size
  tally.livedMs = livedMs
  tally.tookMs = performance.now() - begunAt
}

const inWords = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')

/** One line. */
export function summary({ records, bytes, livedMs, tookMs, dirt }: Tally, vehicles: number): string {
  const all = Object.values(records).reduce((sum, count) => sum + count)
  const seconds = tookMs / 1_000
  const spoilt = inWords(dirt)
  return (
    `${all} records (${inWords(records) || 'none'}) of ${vehicles} vehicles, ${(bytes / 1e6).toFixed(1)} MB, ` +
    `${(livedMs / 1_000).toFixed(1)} s of their lives in ${seconds.toFixed(1)} s: ` +
    `${Math.round(all / Math.max(seconds, 0.001))} records a second${spoilt && `; dirt: ${spoilt}`}`
  )
}
