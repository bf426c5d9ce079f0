import type { HistoryTableName } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import type { HistoryStore } from '@flasktoria/warehouse/history-store'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import type { Logger } from '@flasktoria/service-kit/logger'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import { createHistoryMetrics } from './history-metrics.ts'
import { HistoryRegistrar } from './history-registrar.ts'
import { HistoryRetention } from './history-retention.ts'
import { HistoryTidy } from './history-tidy.ts'
import { HistoryWriter, type HistoryWriterOptions } from './history-writer.ts'
import type { Interpreter } from './interpret.ts'
import type { RecordConsumer, RecordSource } from './record-source.ts'

export type HistoryOptions = HistoryWriterOptions & {
  store: HistoryStore
  /** Days that happened longer ago are removed; absent: none. */
  retentionDays?: number | undefined
  /** The SQL engine that shall know the tables. `location` is the store as it names it. */
  register?: { warehouse: Pick<Warehouse, 'dialect' | 'execute'>; location?: string; database?: string } | undefined
}

export type History = AsyncDisposable & {
  /** For a source that others read too; see `tee`. */
  consumer: RecordConsumer
  /** Reads a source of its own until `signal` aborts; what was read by then is on the disk, and committed, when it resolves. */
  consume(source: RecordSource, signal: AbortSignal): Promise<void>
  /** Why nothing reaches the disk; undefined when all is well. */
  failing(): string | undefined
  /**
   * For how long the oldest record that is not on the disk has waited, here or in the source that `consume` reads; 0: none;
   * null: the source does not know yet.
   */
  lagMs(): number | null
}

const lastFlushMs = 8_000

/** Keeps the records as Parquet files, exactly once each. `history-layout.ts` says how. */
export async function openHistory(
  options: HistoryOptions,
  parts: { interpret: Interpreter; metrics: Metrics; logger: Logger },
): Promise<History> {
  const { store, register, retentionDays, ...writing } = options
  const metrics = createHistoryMetrics(parts.metrics)
  const { interpret, logger } = parts
  const parquet = await openParquetWriter({ store })
  const tidy = new HistoryTidy({ parquet, metrics, logger })
  const registrar =
    register &&
    new HistoryRegistrar(
      { store, location: register.location, database: register.database },
      { warehouse: register.warehouse, metrics, logger },
    )
  const forget = registrar && registrar.drop.bind(registrar)
  const retention =
    retentionDays === undefined ? undefined : new HistoryRetention(retentionDays, { store, forget, metrics, logger })
  const onWritten = (table: HistoryTableName, day: number, stream: string) => {
    tidy.note(table, day, stream)
    retention?.note(table, day)
    registrar?.note(table, day)
  }
  const writer = new HistoryWriter(
    { isLossy: options.run !== undefined, ...writing },
    { interpret, parquet, metrics, logger, onWritten },
  )
  registrar?.registerAll()
  await tidy.sweep(Date.now())
  void retention?.sweep()

  let own: RecordSource | undefined

  const flushLast = async () => {
    try {
      await writer.flush(AbortSignal.timeout(lastFlushMs))
    } catch (error) {
      logger.warn({ err: error }, 'the last rows did not reach the disk; they are read again')
    }
  }

  return {
    consumer: writer,
    failing: () => writer.failing(),
    lagMs() {
      const [inSource, since] = [own ? own.state().lagMs : 0, writer.waitingSince()]
      return inSource === null ? null : Math.max(inSource, since === undefined ? 0 : Date.now() - since)
    },
    async consume(source, signal) {
      own = source
      const stop = new AbortController()
      // The source commits what is safe when it stops, so the flush has to come first.
      const stopping = (async () => {
        await untilAborted(signal)
        await flushLast()
        stop.abort()
      })()
      const lagTimer = setInterval(() => metrics.lag.set(source.state().lagRecords ?? 0), 1_000)
      try {
        await source.run(writer, stop.signal)
        if (signal.aborted) await stopping
      } finally {
        clearInterval(lagTimer)
      }
    },
    async [Symbol.asyncDispose]() {
      await flushLast()
      await writer.close()
      await tidy.close()
      await registrar?.close()
      await retention?.close()
      await parquet.close()
    },
  }
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
