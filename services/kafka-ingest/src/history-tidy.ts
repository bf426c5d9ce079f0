import {
  dayOf,
  fileName,
  historyTables,
  parseFileName,
  supersededNames,
  type HistoryFile,
  type HistoryTableName,
} from '@flasktoria/warehouse/history-layout'
import type { ParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import type { Logger } from '@flasktoria/service-kit/logger'
import { failureReason, type HistoryMetrics } from './history-metrics.ts'

/** Blocks of 16, 256, 4,096, 65,536 and 1,048,576 offsets; the last make about 10 MB of Parquet. */
const blockSizes = [1, 2, 3, 4, 5].map((power) => 16 ** power)
/** While a day goes on, so that a row is rewritten few times; and when it is over. */
const leastFiles = { growing: 4, over: 2 }
const sweepIntervalMs = 3_600_000

/**
 * The files to merge next, of one stream and day: those that lie in a block of offsets behind which writing went on, `end`
 * being the last offset of the stream that was written, on whatever day. Blocks of one size do not overlap and bigger ones
 * contain smaller ones, so that whoever merges what, one file's range lies inside the other's or beside it, and never does
 * half of one.
 */
export function planMerge(files: readonly HistoryFile[], end: number, least: number): HistoryFile[] | undefined {
  for (const size of blockSizes) {
    const blocks = Map.groupBy(
      files.filter(({ first, last }) => Math.floor(first / size) === Math.floor(last / size)),
      ({ first }) => Math.floor(first / size),
    )
    for (const [block, inside] of blocks)
      if (inside.length >= least && end >= (block + 1) * size) return inside.toSorted((a, b) => a.first - b.first)
  }
  return undefined
}

const endOf = (files: readonly HistoryFile[]) => files.reduce((most, { last }) => Math.max(most, last), -1)

/** Without a stream: all of them. `ends`: of each stream, when the day is over. */
type Place = { table: HistoryTableName; day: number; stream?: string; ends?: ReadonlyMap<string, number> }

/**
 * Keeps the number of files low, in the background: behind each flush those of the stream that it wrote, and once an hour all
 * days that are over. It may be killed at any moment: what a merge leaves behind is told by its name, and removed the next time.
 */
export class HistoryTidy {
  readonly #parquet: Pick<ParquetWriter, 'merge' | 'store'>
  readonly #metrics: HistoryMetrics
  readonly #logger: Logger
  readonly #waiting = new Map<string, Place>()
  readonly #sweepTimer: NodeJS.Timeout
  #work: Promise<void> | undefined
  #isClosed = false

  constructor(parts: { parquet: Pick<ParquetWriter, 'merge' | 'store'>; metrics: HistoryMetrics; logger: Logger }) {
    this.#parquet = parts.parquet
    this.#metrics = parts.metrics
    this.#logger = parts.logger
    this.#sweepTimer = setInterval(() => void this.sweep(Date.now()), sweepIntervalMs)
  }

  /** A stream of ours has new files. */
  note(table: HistoryTableName, day: number, stream: string): void {
    this.#enqueue({ table, day, stream })
  }

  /** Looks through every day that was over a day ago. */
  async sweep(now: number): Promise<void> {
    for (const table of ['sensor', 'anomaly'] as const)
      await this.#sweepTable(table, dayOf(now - 86_400_000)).catch((error: unknown) =>
        this.#noteFailure(error, { table }),
      )
  }

  async #sweepTable(table: HistoryTableName, yesterday: number): Promise<void> {
    const days = await this.#parquet.store.listDays(historyTables[table])
    const files = (await Promise.all(days.map((day) => this.#files(table, day)))).flat()
    const ends = new Map(
      Map.groupBy(files, ({ stream }) => stream)
        .entries()
        .map(([stream, own]) => [stream, endOf(own)]),
    )
    for (const day of days) if (day < yesterday) this.#enqueue({ table, day, ends })
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    while (this.#work !== undefined) await this.#work
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#sweepTimer)
    this.#waiting.clear()
    await this.idle()
  }

  #enqueue(place: Place): void {
    if (this.#isClosed) return
    this.#waiting.set(`${place.table}\t${place.day}\t${place.stream ?? ''}`, place)
    this.#work ??= this.#drain()
  }

  async #drain(): Promise<void> {
    for (const [key, place] of this.#waiting) {
      this.#waiting.delete(key)
      try {
        await this.#tidy(place)
      } catch (error) {
        this.#noteFailure(error, place)
      }
    }
    this.#work = undefined
  }

  #noteFailure(error: unknown, { table, day }: { table: HistoryTableName; day?: number }): void {
    const reason = failureReason(error)
    this.#metrics.failures.inc({ step: 'merge', reason })
    this.#logger.warn({ err: error, reason, table, day }, 'files of the history could not be merged')
  }

  async #files(table: HistoryTableName, day: number, stream?: string): Promise<HistoryFile[]> {
    const names = await this.#parquet.store.listFiles({ table: historyTables[table], day }, stream)
    return names.flatMap((name) => parseFileName(name) ?? [])
  }

  async #tidy({ table, day, stream, ends }: Place): Promise<void> {
    while (!this.#isClosed) {
      const files = await this.#files(table, day, stream)
      const superseded = new Set(supersededNames(files.map(fileName)))
      if (superseded.size > 0) await this.#parquet.store.remove({ table: historyTables[table], day }, [...superseded])
      const plan = Map.groupBy(
        files.filter((file) => !superseded.has(fileName(file))),
        (file) => file.stream,
      )
        .entries()
        .map(([name, own]) =>
          planMerge(own, ends?.get(name) ?? endOf(own), ends ? leastFiles.over : leastFiles.growing),
        )
        .find((inside) => inside !== undefined)
      if (plan === undefined) return
      await this.#parquet.merge(historyTables[table], day, plan)
      this.#metrics.merges.inc()
    }
  }
}
