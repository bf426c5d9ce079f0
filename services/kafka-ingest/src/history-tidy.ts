import {
  dayOf,
  historyTables,
  listDays,
  listFiles,
  parseFileName,
  supersededNames,
  type HistoryFile,
  type HistoryTableName,
} from '@flasktoria/warehouse/history-layout'
import type { ParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import type { Logger } from '@flasktoria/service-kit/logger'
import { failureReason, type HistoryMetrics } from './history-metrics.ts'

/** So many neighbours of a size become one, so that a stream has few files a day however often it is flushed. */
const fanIn = 16
/** About 20 MB of Parquet; sorting it takes a few hundred MB for a second or two. */
const maxMergedOffsets = 2_000_000
const sweepIntervalMs = 3_600_000

const span = ({ first, last }: HistoryFile) => last - first + 1

/** The first neighbours worth merging: at least `atLeast` files of one stream, the small ones first. */
export function planMerge(files: readonly HistoryFile[], atLeast = fanIn): HistoryFile[] | undefined {
  const inOrder = files.toSorted((a, b) => a.first - b.first)
  for (let limit = fanIn; limit < maxMergedOffsets * fanIn; limit *= fanIn) {
    let run: HistoryFile[] = []
    let size = 0
    for (const file of inOrder) {
      const fits = span(file) <= limit && size + span(file) <= maxMergedOffsets
      if (!fits && run.length >= atLeast) return run
      if (fits) run.push(file)
      else run = span(file) <= limit ? [file] : []
      size = run.reduce((sum, member) => sum + span(member), 0)
    }
    if (run.length >= atLeast) return run
  }
  return undefined
}

type Place = { table: HistoryTableName; day: number }

/**
 * Keeps the number of files low, in the background: behind each flush the day it wrote to, and once an hour all days that are
 * over. It may be killed at any moment: what a merge leaves behind is told by its name, and removed the next time.
 */
export class HistoryTidy {
  readonly #directory: string
  readonly #parquet: Pick<ParquetWriter, 'merge' | 'remove'>
  readonly #metrics: HistoryMetrics
  readonly #logger: Logger
  readonly #waiting = new Map<string, Place & { atLeast: number }>()
  readonly #sweepTimer: NodeJS.Timeout
  #work: Promise<void> | undefined
  #isClosed = false

  constructor(
    directory: string,
    parts: { parquet: Pick<ParquetWriter, 'merge' | 'remove'>; metrics: HistoryMetrics; logger: Logger },
  ) {
    this.#directory = directory
    this.#parquet = parts.parquet
    this.#metrics = parts.metrics
    this.#logger = parts.logger
    this.#sweepTimer = setInterval(() => void this.sweep(Date.now()), sweepIntervalMs)
  }

  /** A day has new files. */
  note(table: HistoryTableName, day: number): void {
    this.#enqueue({ table, day, atLeast: fanIn })
  }

  /** Looks through every day that was over a day ago. */
  async sweep(now: number): Promise<void> {
    const yesterday = dayOf(now - 86_400_000)
    for (const table of ['sensor', 'anomaly'] as const) {
      const days = await listDays(this.#directory, historyTables[table]).catch(() => [])
      for (const day of days) if (day < yesterday) this.#enqueue({ table, day, atLeast: 2 })
    }
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

  #enqueue(place: Place & { atLeast: number }): void {
    if (this.#isClosed) return
    this.#waiting.set(`${place.table}\t${place.day}`, place)
    this.#work ??= this.#drain()
  }

  async #drain(): Promise<void> {
    for (const [key, place] of this.#waiting) {
      this.#waiting.delete(key)
      try {
        await this.#tidy(place)
      } catch (error) {
        const reason = failureReason(error)
        this.#metrics.failures.inc({ step: 'merge', reason })
        this.#logger.warn({ err: error, reason, ...place }, 'files of the history could not be merged')
      }
    }
    this.#work = undefined
  }

  async #tidy({ table, day, atLeast }: Place & { atLeast: number }): Promise<void> {
    while (!this.#isClosed) {
      const names = await listFiles(this.#directory, historyTables[table], day)
      const superseded = new Set(supersededNames(names))
      for (const name of superseded) await this.#parquet.remove(historyTables[table], day, name)
      const files = names.filter((name) => !superseded.has(name)).flatMap((name) => parseFileName(name) ?? [])
      const streams = Map.groupBy(files, ({ stream }) => stream)
      const plan = streams
        .values()
        .map((own) => planMerge(own, atLeast))
        .find((run) => run !== undefined)
      if (plan === undefined) return
      await this.#parquet.merge(historyTables[table], day, plan)
      this.#metrics.merges.inc()
    }
  }
}
