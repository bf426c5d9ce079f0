import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import {
  readReadings,
  readSpeedUse,
  readingsSql,
  speedUseSql,
  type CostQuestion,
  type Period,
  type SpeedUse,
} from '@flasktoria/warehouse/queries'
import {
  anomaliesSql,
  anomalyCountsSql,
  readAnomalies,
  readAnomalyCounts,
  type AnomaliesQuestion,
  type AnomalyCount,
  type AnomalyFilter,
  type AnomalyGrouping,
} from '@flasktoria/warehouse/queries-anomalies'
import {
  bucketsSql,
  pageSql,
  readBuckets,
  readPage,
  type Bucket,
  type BucketsQuestion,
  type PageColumns,
  type PageQuestion,
} from '@flasktoria/warehouse/queries-history'
import type { TableFacts, TableProfile } from '@flasktoria/warehouse/table-profile'
import { WarehouseError, type ColumnBatch, type Warehouse } from '@flasktoria/warehouse/warehouse'
import { createPositionQuestions } from './history-positions.ts'
import { bucketsInSlices, firstPagesMs, pagesInSlices } from './history-slices.ts'
import { Series } from './series.ts'
import { SingleFlight } from './single-flight.ts'

/** So many browsers that show the same cost one question a second. */
const sharing = { maxAgeMs: 1_000, maxFlights: 100 }
/** A megabyte or two. */
const maxKeptRows = 20_000

/** What the warehouse knows. Every question rejects with a `WarehouseError`, and is given up when the signal aborts. */
export type History = ReturnType<typeof createHistory>

export function createHistory(options: {
  warehouse: Warehouse
  profile: TableProfile
  maxRows: number
  deadlineMs: number
  onRows: (question: string, rows: number) => void
  now: () => number
}) {
  const { warehouse, profile, maxRows, deadlineMs, onRows, now } = options
  const singleFlight = new SingleFlight({ ...sharing, now })
  /** The tables that were not there when they were last asked for. */
  const missing = new Set<string>()
  // One row more than may be: so an answer that is cut short is seen to be so.
  const limit = maxRows + 1

  async function* ask(
    question: string,
    { table }: TableFacts,
    sql: string,
    signal: AbortSignal,
    most = maxRows,
  ): AsyncGenerator<ColumnBatch> {
    try {
      for await (const batch of warehouse.query(sql, { signal, deadlineMs, maxRows: most })) {
        onRows(question, batch.rowCount)
        yield batch
      }
      missing.delete(table)
    } catch (error) {
      if (error instanceof WarehouseError && error.kind === 'no_table') missing.add(table)
      throw error
    }
  }

  /** The same for whoever asks the same at the same time, read as a whole. */
  async function askOnce<T>(
    question: string,
    table: TableFacts,
    sql: string,
    signal: AbortSignal,
    read: (batches: AsyncIterable<ColumnBatch>) => Promise<T>,
    most?: number,
  ): Promise<T> {
    let rows = 0
    async function* counted(shared: AbortSignal) {
      for await (const batch of ask(question, table, sql, shared, most)) {
        rows += batch.rowCount
        yield batch
      }
    }
    try {
      return await singleFlight.ask(
        sql,
        signal,
        (shared) => read(counted(shared)),
        () => rows <= maxKeptRows,
      )
    } catch (error) {
      // Whatever the reason, which need not be an error: as the warehouse would say it.
      throw signal.aborted ? new WarehouseError('cancelled', 'the question was withdrawn', { cause: error }) : error
    }
  }

  const failingForTables = () =>
    missing.size > 0 ? `there was no table ${[...missing].join(' and no table ')} when last asked` : undefined

  return {
    /** A series for each sensor, newest first, one reading a timestamp. */
    async readings(
      question: Period & { vehicle: string; sensors: readonly string[] },
      signal: AbortSignal,
    ): Promise<ReadonlyMap<string, Series>> {
      const sql = readingsSql(warehouse.dialect, profile, { ...question, limit })
      return askOnce('readings', profile.sensor, sql, signal, async (batches) => {
        const bySensor = new Map(question.sensors.map((sensor) => [sensor, new Series()]))
        for await (const batch of batches)
          for (const { sensor, timestamp, value } of readReadings(profile, batch))
            bySensor.get(sensor)?.push(timestamp, value)
        return new Map([...bySensor].map(([sensor, series]) => [sensor, series.newestFirst()]))
      })
    },

    /** At most `limit` readings, in order, by column; words and doubles are among them. Never more than a batch is held. */
    pages(question: PageQuestion, signal: AbortSignal): AsyncGenerator<PageColumns> {
      const page = async function* (part: PageQuestion) {
        const sql = pageSql(warehouse.dialect, profile, part)
        for await (const batch of ask('history', profile.sensor, sql, signal, part.limit))
          yield readPage(profile, batch)
      }
      const { pageRows } = warehouse
      // Spark makes room for all rows that a LIMIT allows, before it has read one.
      const slices =
        pageRows === undefined ? { pageRows: maxRows, sliceMs: Infinity } : { pageRows, sliceMs: firstPagesMs }
      return pagesInSlices(question, slices, page)
    },

    /** In the order of their begins and sensors; one that reaches over several batches comes in parts. */
    buckets(question: BucketsQuestion, signal: AbortSignal): AsyncGenerator<readonly Bucket[]> {
      const slice = async function* (period: Period) {
        const sql = bucketsSql(warehouse.dialect, profile, { ...question, ...period })
        for await (const batch of ask('buckets', profile.sensor, sql, signal)) yield [...readBuckets(batch)]
      }
      return warehouse.pageRows === undefined
        ? slice(question)
        : bucketsInSlices(question, warehouse.pageRows * 10, slice)
    },

    /** In the order of their keys. `limit` absent: all; it fails when they are too many. */
    async anomalies(
      question: Omit<AnomaliesQuestion, 'limit'> & { limit?: number },
      signal: AbortSignal,
    ): Promise<readonly AnomalyFacts[]> {
      const sql = anomaliesSql(warehouse.dialect, profile, { limit, ...question })
      return askOnce(
        'anomalies',
        profile.anomaly,
        sql,
        signal,
        (batches) => allOf(batches, readAnomalies),
        question.limit,
      )
    },

    /** Of all groups; it fails when they are too many. */
    async anomalyCounts(
      question: AnomalyFilter & { by: AnomalyGrouping },
      signal: AbortSignal,
    ): Promise<readonly AnomalyCount[]> {
      const sql = anomalyCountsSql(warehouse.dialect, profile, { ...question, limit })
      return askOnce('anomaly_counts', profile.anomaly, sql, signal, (batches) => allOf(batches, readAnomalyCounts))
    },

    /** Undefined: no answer came, which is as good as no readings. */
    async speedUse(
      question: CostQuestion & { sensor: string; movingAbove: number },
      signal: AbortSignal,
    ): Promise<SpeedUse | undefined> {
      const sql = speedUseSql(warehouse.dialect, profile, question)
      return askOnce('speed_use', profile.sensor, sql, signal, async (batches) => {
        let use: SpeedUse | undefined
        for await (const batch of batches) if (batch.rowCount > 0) use = readSpeedUse(batch)
        return use
      })
    },

    ...createPositionQuestions({ warehouse, profile, maxRows, ask }),

    /** Undefined when it can answer, else the reason in words. */
    failing: () => warehouse.failing() ?? failingForTables(),
  }
}

async function allOf<T>(batches: AsyncIterable<ColumnBatch>, read: (batch: ColumnBatch) => Iterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const batch of batches) all.push(...read(batch))
  return all
}
