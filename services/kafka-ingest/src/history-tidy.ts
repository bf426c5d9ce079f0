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
/** A merge makes at least this much of its biggest file, so that each row is rewritten a few times only. */
const leastGrowth = fanIn / 2
/** About 20 MB of Parquet; sorting it takes a few hundred MB for a second or two. */
const maxMergedOffsets = 2_000_000
const sweepIntervalMs = 3_600_000

const span = ({ first, last }: HistoryFile) => last - first + 1
const total = (files: readonly HistoryFile[]) => files.reduce((sum, file) => sum + span(file), 0)
const biggest = (files: readonly HistoryFile[]) => files.reduce((most, file) => Math.max(most, span(file)), 0)

/** Neighbours none of which is bigger than `limit`, as many as fit into one file. */
function* runs(inOrder: readonly HistoryFile[], limit: number): Generator<HistoryFile[]> {
  let run: HistoryFile[] = []
  for (const file of inOrder) {
    const isSmall = span(file) <= limit
    if (isSmall && total(run) + span(file) <= maxMergedOffsets) run.push(file)
    else {
      yield run
      run = isSmall ? [file] : []
    }
  }
  yield run
}

/** The neighbours to merge next, of the files of one stream and day; of a day that is over all that fit. */
export function planMerge(files: readonly HistoryFile[], isOver: boolean): HistoryFile[] | undefined {
  const inOrder = files.toSorted((a, b) => a.first - b.first)
  if (isOver) return runs(inOrder, maxMergedOffsets).find((run) => run.length > 1)
  for (let limit = fanIn; limit < maxMergedOffsets; limit *= fanIn)
    for (const run of runs(inOrder, limit))
      if (run.length >= fanIn && total(run) >= leastGrowth * biggest(run)) return run
  return undefined
}

type Place = { table: HistoryTableName; day: number; isOver: boolean }

/**
 * Keeps the number of files low, in the background: behind each flush the day it wrote to, and once an hour all days that are
 * over. It may be killed at any moment: what a merge leaves behind is told by its name, and removed the next time.
 */
export class HistoryTidy {
  readonly #directory: string
  readonly #parquet: Pick<ParquetWriter, 'merge' | 'remove'>
  readonly #metrics: HistoryMetrics
  readonly #logger: Logger
  readonly #waiting = new Map<string, Place>()
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
    this.#enqueue({ table, day, isOver: false })
  }

  /** Looks through every day that was over a day ago. */
  async sweep(now: number): Promise<void> {
    const yesterday = dayOf(now - 86_400_000)
    for (const table of ['sensor', 'anomaly'] as const) {
      const days = await listDays(this.#directory, historyTables[table]).catch(() => [])
      for (const day of days) if (day < yesterday) this.#enqueue({ table, day, isOver: true })
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

  #enqueue(place: Place): void {
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

  async #tidy({ table, day, isOver }: Place): Promise<void> {
    while (!this.#isClosed) {
      const names = await listFiles(this.#directory, historyTables[table], day)
      const superseded = new Set(supersededNames(names))
      for (const name of superseded) await this.#parquet.remove(historyTables[table], day, name)
      const files = names.filter((name) => !superseded.has(name)).flatMap((name) => parseFileName(name) ?? [])
      const streams = Map.groupBy(files, ({ stream }) => stream)
      const plan = streams
        .values()
        .map((own) => planMerge(own, isOver))
        .find((run) => run !== undefined)
      if (plan === undefined) return
      await this.#parquet.merge(historyTables[table], day, plan)
      this.#metrics.merges.inc()
    }
  }
}
