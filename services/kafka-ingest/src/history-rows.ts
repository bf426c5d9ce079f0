import { positionSensor } from '@flasktoria/contracts/records'
import { dayOf, type HistoryTableName } from '@flasktoria/warehouse/history-layout'
import type { ParquetRow } from '@flasktoria/warehouse/history-columns'
import type { Fact } from './validate.ts'

export type HistoryRow = { table: HistoryTableName; day: number; cells: ParquetRow }

/** A fact as a row of its table: see `historyTables` for the columns. */
export function historyRow(fact: Fact): HistoryRow {
  const { vehicle, ts } = fact
  const day = dayOf(ts)
  // Engines take 0 and -0 as equal, so their order would be open: -0 + 0 is 0.
  if (fact.kind === 'reading') {
    const value = fact.value === null ? null : fact.value + 0
    return { table: 'sensor', day, cells: [vehicle, fact.sensor, ts, value, fact.text, null, null] }
  }
  if (fact.kind === 'fix')
    return { table: 'sensor', day, cells: [vehicle, positionSensor, ts, null, fact.text, fact.lat, fact.long] }
  const { sensor, detectionTime, confirmationTime, anomalyId, rootCause, recommendation } = fact
  const cells = [vehicle, sensor, ts, detectionTime, confirmationTime, anomalyId, rootCause, recommendation]
  return { table: 'anomaly', day, cells }
}
