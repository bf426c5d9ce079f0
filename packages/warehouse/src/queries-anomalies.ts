import type { Dialect } from './dialect.ts'
import { equals, numberCell, periodBehind, rowsOf, textCell, timestampOf, type Period } from './queries.ts'
import type { TableProfile } from './table-profile.ts'
import type { ColumnBatch } from './warehouse.ts'

/** What tells an anomaly from every other one; and its place among them: newest first, then by vehicle, type and detection. */
export type AnomalyKey = { timestamp: number; vehicle: string; anomalyId: number; detectionTime: string }
export type StoredAnomaly = AnomalyKey & { confirmationTime: string; rootCause: string; recommendation: string }

export type AnomalyFilter = Period & {
  /** Absent: of the fleet. */
  vehicle?: string | undefined
  /** Absent: of any type. */
  types?: readonly number[] | undefined
}
export type AnomaliesQuestion = AnomalyFilter & {
  /** From the last anomaly to the first, which is the newest one. */
  isReversed?: boolean | undefined
  /** Only those that stand behind this one. */
  after?: AnomalyKey | undefined
  limit: number
}

export const anomalyGroupings = ['type', 'vehicle', 'hour', 'day'] as const
export type AnomalyGrouping = (typeof anomalyGroupings)[number]
export type AnomalyCount = { key: string | number; count: number }

const bucketMs = { hour: 3_600_000, day: 86_400_000 }

/** What counting and listing have in common: the anomalies that a filter lets through, and what names each. */
function filtered(dialect: Dialect, profile: TableProfile, filter: AnomalyFilter, more: readonly string[] = []) {
  const { anomaly: table } = profile
  const [vehicle, id] = [dialect.identifier(table.vehicle), dialect.identifier(table.anomalyId)]
  const where = [`${vehicle} IS NOT NULL`, `${id} IS NOT NULL`, ...more]
  if (filter.vehicle !== undefined) where.push(equals(dialect, table.vehicle, filter.vehicle))
  if (filter.types?.length === 0) where.push('1 = 0')
  else if (filter.types) where.push(`${id} IN (${filter.types.map(dialect.integer).join(', ')})`)
  return {
    ts: timestampOf(dialect, table),
    vehicle,
    id,
    detected: `COALESCE(${dialect.identifier(table.detectionTime)}, '')`,
    rows: rowsOf(dialect, profile, table, where, filter),
  }
}

/** Anomalies in order; `readAnomalies` reads the answer. */
export function anomaliesSql(dialect: Dialect, profile: TableProfile, question: AnomaliesQuestion): string {
  const { anomaly: table } = profile
  const { isReversed = false, after, limit } = question
  const { ts, vehicle, id, detected, rows } = filtered(
    dialect,
    profile,
    after ? { ...question, ...periodBehind(after.timestamp, question, !isReversed) } : question,
    after && [behind(dialect, profile, after, isReversed)],
  )
  const column = (name: string | undefined) => (name === undefined ? "''" : dialect.identifier(name))
  const columns = [
    `${vehicle} AS a_vehicle`,
    `${ts} AS a_ts`,
    `${id} AS a_id`,
    `${detected} AS a_detected`,
    `${column(table.confirmationTime)} AS a_confirmed`,
    `${column(table.rootCause)} AS a_cause`,
    `${column(table.recommendation)} AS a_advice`,
  ]
  const [inTime, among] = isReversed ? ['ASC', 'DESC'] : ['DESC', 'ASC']
  const places = [
    `a_ts ${inTime} NULLS LAST`,
    ...['a_vehicle', 'a_id', 'a_detected'].map((name) => `${name} ${among} NULLS LAST`),
    // Of those that are stored twice, the same one is the first from either end.
    ...['a_confirmed', 'a_cause', 'a_advice'].map((name) => `${name} ASC NULLS LAST`),
  ]
  return `SELECT ${columns.join(', ')} FROM ${rows} ORDER BY ${places.join(', ')} LIMIT ${dialect.integer(limit)}`
}

function behind(dialect: Dialect, { anomaly: table }: TableProfile, key: AnomalyKey, isReversed: boolean): string {
  const [after, beyond] = isReversed ? ['>', '<'] : ['<', '>']
  const [vehicle, id] = [dialect.identifier(table.vehicle), dialect.identifier(table.anomalyId)]
  const detected = `COALESCE(${dialect.identifier(table.detectionTime)}, '')`
  const vehicleText = dialect.text(key.vehicle)
  const anomalyId = dialect.integer(key.anomalyId)
  const among = `${id} ${beyond} ${anomalyId} OR (${id} = ${anomalyId} AND ${detected} ${beyond} ${dialect.text(key.detectionTime)})`
  return (
    `(${timestampOf(dialect, table)} ${after} ${dialect.integer(key.timestamp)} OR ${vehicle} ${beyond} ${vehicleText} ` +
    `OR (${vehicle} = ${vehicleText} AND (${among})))`
  )
}

export function* readAnomalies({ rowCount, values }: ColumnBatch): Generator<StoredAnomaly> {
  const [vehicles, timestamps, ids, detected, confirmed, causes, advice] = values
  for (let row = 0; row < rowCount; row++)
    yield {
      vehicle: textCell(vehicles?.[row]),
      timestamp: numberCell(timestamps?.[row]),
      anomalyId: numberCell(ids?.[row]),
      detectionTime: textCell(detected?.[row]),
      confirmationTime: textCell(confirmed?.[row]),
      rootCause: textCell(causes?.[row]),
      recommendation: textCell(advice?.[row]),
    }
}

/** Of a time before 1970 the rest is negative. */
const bucket = (ms: number) => `a_ts - ((a_ts % ${ms}) + ${ms}) % ${ms}`

/** How many anomalies there are of each group, each of them once however often it is stored; `readAnomalyCounts` reads the answer. */
export function anomalyCountsSql(
  dialect: Dialect,
  profile: TableProfile,
  { by, limit, ...filter }: AnomalyFilter & { by: AnomalyGrouping; limit: number },
): string {
  const { ts, vehicle, id, detected, rows } = filtered(dialect, profile, filter)
  const each = `SELECT DISTINCT ${vehicle} AS a_vehicle, ${ts} AS a_ts, ${id} AS a_id, ${detected} AS a_detected FROM ${rows}`
  const key = { type: 'a_id', vehicle: 'a_vehicle', hour: bucket(bucketMs.hour), day: bucket(bucketMs.day) }[by]
  return (
    `SELECT c_key, COUNT(*) AS c_count FROM (SELECT ${key} AS c_key FROM (${each}) e) k ` +
    `GROUP BY c_key ORDER BY c_key ASC NULLS LAST LIMIT ${dialect.integer(limit)}`
  )
}

export function* readAnomalyCounts({ rowCount, values }: ColumnBatch): Generator<AnomalyCount> {
  const [keys, counts] = values
  for (let row = 0; row < rowCount; row++) {
    const key = keys?.[row]
    yield { key: typeof key === 'string' ? key : numberCell(key), count: numberCell(counts?.[row]) }
  }
}

/** The group that an anomaly belongs to, as SQL has it. */
export function groupOf(by: AnomalyGrouping, { anomalyId, vehicle, timestamp }: AnomalyKey): string | number {
  if (by === 'type') return anomalyId
  if (by === 'vehicle') return vehicle
  return Math.floor(timestamp / bucketMs[by]) * bucketMs[by]
}
