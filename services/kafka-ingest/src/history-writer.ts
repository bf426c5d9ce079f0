import {
  historyTables,
  parseFileName,
  type HistoryFile,
  type HistoryTableName,
} from '@flasktoria/warehouse/history-layout'
import type { ParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import type { Logger } from '@flasktoria/service-kit/logger'
import { setTimeout as delay } from 'node:timers/promises'
import { HistoryBuffer, planFiles, type Portion } from './history-buffer.ts'
import { failureReason, type HistoryMetrics } from './history-metrics.ts'
import { historyRow } from './history-rows.ts'
import type { Interpreter } from './interpret.ts'
import type { Position, RawRecord, RecordConsumer } from './record-source.ts'
import { unlessAborted } from './unless-aborted.ts'

export type HistoryWriterOptions = {
  flushIntervalMs: number
  flushRows: number
  /**
   * For sources whose offsets mean nothing to the next run: a name of this run. The writer counts the records itself then, and
   * its files are not taken for those of another run.
   */
  run?: string | undefined
  /**
   * When the disk fails for long: the source waits (false), or records are left out, and counted (true). For a source that
   * feeds the live path too, which must not wait; `openHistory` takes one with a `run` for such a source.
   */
  isLossy?: boolean | undefined
}

type Parts = {
  interpret: Interpreter
  parquet: Pick<ParquetWriter, 'write' | 'store'>
  metrics: HistoryMetrics
  logger: Logger
  /** Called with what is on the disk now. Must not throw. */
  onWritten?: (table: HistoryTableName, day: number, stream: string) => void
  now?: () => number
}

const maxBufferedBytes = 64 * 1024 * 1024
const firstBackoffMs = 200
const maxBackoffMs = 10_000

/**
 * records → rows → Parquet files, each record exactly once: the names of the files say which offsets they hold, files appear
 * whole or not at all, and offsets are committed behind them. Whatever comes again after a crash finds its file and is left out.
 *
 * One buffer collects while the one before it is written. A disk that fails is tried again until it takes the buffer; when both
 * buffers are full the source waits.
 */
export class HistoryWriter implements RecordConsumer {
  readonly #options: HistoryWriterOptions
  readonly #parts: Parts
  #collecting = new HistoryBuffer()
  #writing: { buffer: HistoryBuffer; done: Promise<void>; abandon: AbortController } | undefined
  #safe = new Map<string, Position>()
  #failing: string | undefined
  #counted = 0
  readonly #timer: NodeJS.Timeout

  constructor(options: HistoryWriterOptions, parts: Parts) {
    this.#options = options
    this.#parts = parts
    this.#timer = setInterval(() => this.#startFlush(), options.flushIntervalMs)
  }

  async accept(records: readonly RawRecord[], signal: AbortSignal): Promise<void> {
    while (this.#isFull()) {
      this.#startFlush()
      if (this.#options.isLossy && this.#failing !== undefined) {
        this.#parts.metrics.dropped.inc(records.length)
        return
      }
      await unlessAborted(this.#writing!.done, signal)
    }
    signal.throwIfAborted()
    const { interpret, metrics, now = Date.now } = this.#parts
    const arrivedAt = now()
    for (const record of records) {
      const interpreted = interpret(record, arrivedAt)
      if (!interpreted.ok) metrics.refused.inc({ topic: record.topic, reason: interpreted.reason })
      this.#collecting.add(this.#placeOf(record), interpreted.ok ? historyRow(interpreted.fact) : undefined, arrivedAt)
    }
    if (this.#isFull()) this.#startFlush()
    this.#showPending()
  }

  rewind(): void {
    this.#collecting = new HistoryBuffer()
    this.#safe = new Map()
    this.#writing?.abandon.abort()
    this.#showPending()
  }

  safePositions(): Iterable<Position> {
    return this.#safe.values()
  }

  /** Why nothing reaches the disk; undefined when all is well. */
  failing(): string | undefined {
    return this.#failing
  }

  /** Since when the oldest record has waited that is not on the disk, epoch ms; undefined: none waits. */
  waitingSince(): number | undefined {
    return this.#writing?.buffer.since ?? this.#collecting.since
  }

  /** Puts everything accepted so far on the disk. Rejects when the signal fires first. */
  async flush(signal: AbortSignal): Promise<void> {
    while (this.#writing !== undefined || !this.#collecting.isEmpty) {
      this.#startFlush()
      await unlessAborted(this.#writing!.done, signal)
    }
  }

  /** Ends the work without a flush: what is not on the disk comes again. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.rewind()
    await this.#writing?.done
  }

  #placeOf(record: RawRecord): Position {
    const { run } = this.#options
    return run === undefined ? record : { topic: `${record.topic}@${run}`, partition: 0, offset: this.#counted++ }
  }

  #isFull(): boolean {
    return this.#collecting.rows >= this.#options.flushRows || this.#collecting.bytes >= maxBufferedBytes
  }

  #startFlush(): void {
    if (this.#writing !== undefined || this.#collecting.isEmpty) return
    const buffer = this.#collecting
    this.#collecting = new HistoryBuffer()
    const abandon = new AbortController()
    const done = this.#writePatiently(buffer, abandon.signal)
    this.#writing = { buffer, abandon, done }
  }

  async #writePatiently(buffer: HistoryBuffer, abandoned: AbortSignal): Promise<void> {
    const { metrics, logger } = this.#parts
    const endTimer = metrics.flushSeconds.startTimer()
    for (let backoffMs = firstBackoffMs; !abandoned.aborted; backoffMs = Math.min(backoffMs * 2, maxBackoffMs)) {
      try {
        await this.#write(buffer, abandoned)
        if (this.#failing !== undefined) logger.info('the history reaches the disk again')
        this.#failing = undefined
        break
      } catch (error) {
        const reason = failureReason(error)
        metrics.failures.inc({ step: 'write', reason })
        if (this.#failing === undefined) logger.error({ err: error, reason }, 'the history does not reach the disk')
        this.#failing = `the history does not reach the disk: ${reason}`
        await delay(backoffMs, undefined, { signal: abandoned }).catch(() => undefined)
      }
    }
    endTimer()
    if (!abandoned.aborted)
      for (const position of buffer.positions()) this.#safe.set(`${position.topic}\t${position.partition}`, position)
    this.#writing = undefined
    this.#showPending()
  }

  async #write(buffer: HistoryBuffer, abandoned: AbortSignal): Promise<void> {
    for (const portion of buffer.portions) {
      if (abandoned.aborted) return
      await this.#writePortion(portion)
      buffer.portions.delete(portion)
    }
  }

  async #writePortion(portion: Portion): Promise<void> {
    const { parquet, metrics, onWritten } = this.#parts
    const { table, day, stream } = portion
    // The folder, not memory, knows what was written: by us before a crash, or by another instance that took over.
    const files = planFiles(portion, await this.#written(portion))
    for (const { file, content } of files) {
      const isStillMissing = async () =>
        (await this.#written(portion)).every((other) => other.last < file.first || file.last < other.first)
      const isWritten = await parquet.write(historyTables[table], day, file, content, isStillMissing)
      if (!isWritten) return this.#writePortion(portion)
      metrics.files.inc({ table })
      metrics.rows.inc({ table }, content.to - content.from)
      onWritten?.(table, day, stream)
    }
    metrics.skipped.inc(portion.rows.length - files.reduce((sum, { content }) => sum + content.to - content.from, 0))
    return undefined
  }

  async #written({ table, day, stream }: Portion): Promise<HistoryFile[]> {
    const names = await this.#parts.parquet.store.listFiles({ table: historyTables[table], day }, stream)
    return names.flatMap((name) => parseFileName(name) ?? [])
  }

  #showPending(): void {
    this.#parts.metrics.pendingRows.set(this.#collecting.rows + (this.#writing?.buffer.rows ?? 0))
  }
}
