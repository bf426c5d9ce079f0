import { positionSensor } from '@flasktoria/contracts/records'
import type { Logger } from '@flasktoria/service-kit/logger'
import { setTimeout as delay } from 'node:timers/promises'
import { sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import type { RawRecord, RecordSource } from './record-source.ts'
import { readRecording, RecordingError, type BadRow, type RecordedRow } from './recording.ts'

export type RecordingOptions = { path: string; speed: number; topic: string }

const maxSources = 64
const maxBatch = 1_000
const maxSleepMs = 60_000

/** One recorded fleet: the vehicles whose ids share what stands before the first `-`. Its clock is its own. */
type RecordedSource = {
  /** Undefined: the whole recording. */
  name: string | undefined
  firstTs: number
}

/**
 * Replays a recording as if it happened now: each source of it begins when the replay begins, and its records come when they
 * are due. The sources lie one behind the other in the file, so each has a reader of its own.
 */
export function createRecordingSource({ path, speed, topic }: RecordingOptions, logger: Logger): RecordSource {
  return {
    run: async (consumer, signal) => {
      const { sources, rows } = await surveyRecording(path, logger)
      const startsAt = Date.now()
      logger.info({ path, rows, sources: sources.map(({ name }) => name), speed }, 'the recording begins')
      const replays = sources.map((source) => new Replay(path, source, startsAt, speed))
      let offset = 0
      try {
        while (!signal.aborted) {
          await Promise.all(replays.map((replay) => replay.fill()))
          const dueAt = Math.min(...replays.map((replay) => replay.dueAt))
          if (dueAt === Infinity) break
          const waitMs = dueAt - Date.now()
          if (waitMs > 0) {
            await delay(Math.min(waitMs, maxSleepMs), undefined, { signal })
            continue
          }
          const due = replays.flatMap((replay) => replay.takeDue(Date.now()))
          await consumer.accept(
            due.map(({ row, ts }): RawRecord => rawRecord(row, ts, topic, offset++)),
            signal,
          )
        }
        if (!signal.aborted) logger.info({ path }, 'the recording has ended')
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        await Promise.all(replays.map((replay) => replay.close()))
      }
    },
    state: () => ({ failing: undefined, lagRecords: null, lagMs: null }),
  }
}

/** What stands before the first `-`; without one, all such vehicles are one source. */
const sourceName = (vehicle: string): string => vehicle.slice(0, Math.max(0, vehicle.indexOf('-')))

/** Reads the file once: which sources it has, and which lines are no rows. */
async function surveyRecording(path: string, logger: Logger): Promise<{ sources: RecordedSource[]; rows: number }> {
  const sources = new Map<string, RecordedSource>()
  const bad: BadRow[] = []
  let badRows = 0
  let rows = 0
  for await (const row of readRecording(path)) {
    if ('problem' in row) {
      badRows += 1
      if (bad.length < 5) bad.push(row)
      continue
    }
    rows += 1
    const name = sourceName(row.vehicle)
    if (sources.size <= maxSources && !sources.has(name)) sources.set(name, { name, firstTs: row.ts })
  }
  if (rows === 0) throw new RecordingError(`${path} has no rows`)
  if (badRows > 0) logger.warn({ path, badRows, first: bad }, 'lines of the recording are no rows: left out')
  if (sources.size <= maxSources) return { sources: [...sources.values()], rows }
  logger.warn({ path }, `the ids have more than ${maxSources} prefixes, so they name no sources: the recording is one`)
  return { sources: [{ name: undefined, firstTs: sources.values().next().value!.firstTs }], rows }
}

/** The records of one source on their way, in the order of the file. */
class Replay {
  readonly #rows: AsyncGenerator<RecordedRow | BadRow>
  readonly #source: RecordedSource
  readonly #startsAt: number
  readonly #speed: number
  #ahead: { row: RecordedRow; ts: number }[] = []
  #hasMore = true

  constructor(path: string, source: RecordedSource, startsAt: number, speed: number) {
    this.#rows = readRecording(path)
    this.#source = source
    this.#startsAt = startsAt
    this.#speed = speed
  }

  /** When the next record is due; Infinity: there is none. */
  get dueAt(): number {
    return this.#ahead[0]?.ts ?? Infinity
  }

  async fill(): Promise<void> {
    while (this.#hasMore && this.#ahead.length < maxBatch) {
      // oxlint-disable-next-line no-await-in-loop -- rows come one by one
      const { value: row, done } = await this.#rows.next()
      if (done) this.#hasMore = false
      else if ('vehicle' in row && this.#isOurs(row))
        this.#ahead.push({ row, ts: Math.round(this.#startsAt + (row.ts - this.#source.firstTs) / this.#speed) })
    }
  }

  takeDue(now: number): { row: RecordedRow; ts: number }[] {
    const end = this.#ahead.findIndex(({ ts }) => ts > now)
    return this.#ahead.splice(0, end < 0 ? this.#ahead.length : end)
  }

  #isOurs({ vehicle }: RecordedRow): boolean {
    return this.#source.name === undefined || sourceName(vehicle) === this.#source.name
  }

  async close(): Promise<void> {
    await this.#rows.return(undefined)
  }
}

const rawRecord = (
  { vehicle, sensor, value }: RecordedRow,
  timestamp: number,
  topic: string,
  offset: number,
): RawRecord => ({
  topic,
  profile: sensorProfile,
  partition: 0,
  offset,
  key: vehicle,
  timestamp,
  value: encodeRecord.sensor({
    timestamp,
    sensor_group: 'recording',
    sensor,
    uuid: vehicle,
    value: `${sensor === positionSensor ? 'GPS' : sensor}: ${value}`,
    src: 'recording',
  }),
})
