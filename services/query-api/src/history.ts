import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import {
  anomaliesSql,
  readAnomalies,
  readReadings,
  readSpeedUse,
  readingsSql,
  speedUseSql,
  type CostQuestion,
  type Period,
  type SpeedUse,
} from '@flasktoria/warehouse/queries'
import type { TableFacts, TableProfile } from '@flasktoria/warehouse/table-profile'
import { WarehouseError, type ColumnBatch, type Warehouse } from '@flasktoria/warehouse/warehouse'
import { Series } from './series.ts'

/** What the warehouse knows. Every question rejects with a `WarehouseError`, and is given up when the signal aborts. */
export type History = ReturnType<typeof createHistory>

export function createHistory(options: {
  warehouse: Warehouse
  profile: TableProfile
  maxRows: number
  deadlineMs: number
  onRows: (question: string, rows: number) => void
}) {
  const { warehouse, profile, maxRows, deadlineMs, onRows } = options
  /** The tables that were not there when they were last asked for. */
  const missing = new Set<string>()
  // One row more than may be: so an answer that is cut short is seen to be so.
  const limit = maxRows + 1

  async function* ask(
    question: string,
    { table }: TableFacts,
    sql: string,
    signal: AbortSignal,
  ): AsyncGenerator<ColumnBatch> {
    try {
      for await (const batch of warehouse.query(sql, { signal, deadlineMs, maxRows })) {
        onRows(question, batch.rowCount)
        yield batch
      }
      missing.delete(table)
    } catch (error) {
      if (error instanceof WarehouseError && error.kind === 'no_table') missing.add(table)
      throw error
    }
  }

  const failingForTables = () =>
    missing.size > 0 ? `there was no table ${[...missing].join(' and no table ')} when last asked` : undefined

  return {
    /** A series for each sensor, newest first, one reading a timestamp. */
    async readings(
      question: Period & { vehicle: string; sensors: readonly string[] },
      signal: AbortSignal,
    ): Promise<Map<string, Series>> {
      const bySensor = new Map(question.sensors.map((sensor) => [sensor, new Series()]))
      for await (const batch of ask(
        'readings',
        profile.sensor,
        readingsSql(warehouse.dialect, profile, { ...question, limit }),
        signal,
      ))
        for (const { sensor, timestamp, value } of readReadings(profile, batch))
          bySensor.get(sensor)?.push(timestamp, value)
      return new Map([...bySensor].map(([sensor, series]) => [sensor, series.newestFirst()]))
    },

    /** In no order. `vehicle` absent: of the fleet. */
    async anomalies(question: Period & { vehicle?: string | undefined }, signal: AbortSignal): Promise<AnomalyFacts[]> {
      const found: AnomalyFacts[] = []
      for await (const batch of ask(
        'anomalies',
        profile.anomaly,
        anomaliesSql(warehouse.dialect, profile, { ...question, limit }),
        signal,
      ))
        for (const anomaly of readAnomalies(batch)) found.push(anomaly)
      return found
    },

    /** Undefined: no answer came, which is as good as no readings. */
    async speedUse(
      question: CostQuestion & { sensor: string; movingAbove: number },
      signal: AbortSignal,
    ): Promise<SpeedUse | undefined> {
      let use: SpeedUse | undefined
      const sql = speedUseSql(warehouse.dialect, profile, question)
      for await (const batch of ask('speed_use', profile.sensor, sql, signal))
        if (batch.rowCount > 0) use = readSpeedUse(batch)
      return use
    },

    /** Undefined when it can answer, else the reason in words. */
    failing: () => warehouse.failing() ?? failingForTables(),
  }
}
