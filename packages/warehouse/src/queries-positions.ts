import type { Dialect } from './dialect.ts'
import {
  equals,
  isInRange,
  numberCell,
  rowsOf,
  textCell,
  timestampOf,
  type Period,
  type VehicleRange,
} from './queries.ts'
import type { TableProfile } from './table-profile.ts'
import type { ColumnBatch } from './warehouse.ts'

/** Where a vehicle was. Degrees. */
export type Fix = { timestamp: number; lat: number; long: number }
export type VehicleFix = Fix & { vehicle: string }

/** Degrees, edges included; west above east spans the antimeridian. */
export type Box = { west: number; south: number; east: number; north: number }

export type TrackQuestion = Period & { vehicle: string; limit: number }
/** Pages go by vehicle: `after` is the last one of the page before. */
type FleetPage = Period & { after?: string | undefined; limit: number }
export type LatestQuestion = FleetPage
export type VisitorsQuestion = FleetPage & {
  /** Only these. */
  vehicles?: VehicleRange | undefined
  box: Box
  /** Who was not seen in the box for longer came anew. */
  gapMs: number
}

/** What a vehicle was seen to do in a box; the place is the one where it was last. */
export type Visitor = VehicleFix & { first: number; fixes: number; visits: number }

/** Every engine reads it as the same DOUBLE. */
function double(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`${value} is no finite number`)
  return value.toExponential()
}

/** Latitude and longitude as DOUBLE, and NULL where they are none. */
function placeColumns(dialect: Dialect, { value, position }: TableProfile['sensor']): [lat: string, long: string] {
  if (position?.form === 'columns') return [dialect.identifier(position.lat), dialect.identifier(position.long)]
  const text = dialect.identifier(value.column)
  const pair = `substr(${text}, instr(${text}, ': ') + 2)`
  const comma = `instr(${pair}, ',')`
  const number = (part: string) => dialect.tryCast(`trim(${part})`, 'double')
  return [
    number(`substr(${pair}, 2, ${comma} - 2)`),
    number(`substr(${pair}, ${comma} + 1, length(${pair}) - ${comma} - 1)`),
  ]
}

/** Positions of a period as a FROM clause; what a receiver without satellites says, 0,0, is none. */
function fixesOf(dialect: Dialect, profile: TableProfile, where: readonly string[], period: Period): string {
  const { sensor: table } = profile
  const { position } = table
  if (!position) throw new RangeError('the table profile has no positions')
  const conditions = [...where, equals(dialect, table.sensor, position.sensor)]
  if (position.form === 'labelled')
    conditions.push(`${dialect.identifier(table.value.column)} LIKE ${dialect.text('%: [%,%]')}`)
  const [lat, long] = placeColumns(dialect, table)
  const columns = [
    `${dialect.identifier(table.vehicle)} AS p_vehicle`,
    `${timestampOf(dialect, table)} AS p_ts`,
    `${lat} AS p_lat`,
    `${long} AS p_long`,
  ]
  return (
    `(SELECT * FROM (SELECT ${columns.join(', ')} FROM ${rowsOf(dialect, profile, table, conditions, period)}) q ` +
    `WHERE p_lat BETWEEN -90 AND 90 AND p_long BETWEEN -180 AND 180 AND NOT (abs(p_lat) < 1e-4 AND abs(p_long) < 1e-4)) p`
  )
}

const over = (order: string) => `OVER (PARTITION BY p_vehicle ORDER BY ${order})`

const behind = (dialect: Dialect, { sensor }: TableProfile, after: string | undefined): string[] =>
  after === undefined ? [] : [`${dialect.identifier(sensor.vehicle)} > ${dialect.text(after)}`]

/** Where a vehicle was, oldest first; `readTrack` reads the answer. */
export function trackSql(dialect: Dialect, profile: TableProfile, question: TrackQuestion): string {
  const where = [equals(dialect, profile.sensor.vehicle, question.vehicle)]
  return (
    `SELECT p_ts, p_lat, p_long FROM ${fixesOf(dialect, profile, where, question)} ` +
    `ORDER BY p_ts, p_lat, p_long LIMIT ${dialect.integer(question.limit)}`
  )
}

export function* readTrack({ rowCount, values }: ColumnBatch): Generator<Fix> {
  const [timestamps, lats, longs] = values
  for (let row = 0; row < rowCount; row++)
    yield { timestamp: numberCell(timestamps?.[row]), lat: numberCell(lats?.[row]), long: numberCell(longs?.[row]) }
}

/** The last position of each vehicle in a period, in the order of their ids; `readLatest` reads the answer. */
export function latestSql(dialect: Dialect, profile: TableProfile, question: LatestQuestion): string {
  const fixes = fixesOf(dialect, profile, behind(dialect, profile, question.after), question)
  // An engine would hold every position to rank them by time; this way it holds one for each vehicle.
  const newest = `(SELECT p_vehicle AS n_vehicle, MAX(p_ts) AS n_ts FROM ${fixes} GROUP BY p_vehicle) n`
  const rank = `ROW_NUMBER() ${over('p_lat, p_long')} AS p_rank`
  const last = `SELECT p.*, ${rank} FROM ${fixes} JOIN ${newest} ON p_vehicle = n_vehicle AND p_ts = n_ts`
  return (
    `SELECT p_vehicle, p_ts, p_lat, p_long FROM (${last}) r WHERE p_rank = 1 ` +
    `ORDER BY p_vehicle LIMIT ${dialect.integer(question.limit)}`
  )
}

export function* readLatest({ rowCount, values }: ColumnBatch): Generator<VehicleFix> {
  const [vehicles, timestamps, lats, longs] = values
  for (let row = 0; row < rowCount; row++)
    yield {
      vehicle: textCell(vehicles?.[row]),
      timestamp: numberCell(timestamps?.[row]),
      lat: numberCell(lats?.[row]),
      long: numberCell(longs?.[row]),
    }
}

function isInside({ west, south, east, north }: Box): string {
  const lat = `p_lat BETWEEN ${double(south)} AND ${double(north)}`
  if (west <= east) return `${lat} AND p_long BETWEEN ${double(west)} AND ${double(east)}`
  return `${lat} AND (p_long >= ${double(west)} OR p_long <= ${double(east)})`
}

function insideOf(dialect: Dialect, profile: TableProfile, question: VisitorsQuestion): string {
  const { after, vehicles, box } = question
  const where = behind(dialect, profile, after)
  if (vehicles) where.push(isInRange(dialect, profile.sensor.vehicle, vehicles))
  return `${fixesOf(dialect, profile, where, question)} WHERE ${isInside(box)}`
}

/** How many positions each vehicle has in a box in a period, in the order of their ids. */
export const visitorCountsSql = (dialect: Dialect, profile: TableProfile, question: VisitorsQuestion): string =>
  `SELECT p_vehicle, COUNT(*) AS p_fixes FROM ${insideOf(dialect, profile, question)} ` +
  `GROUP BY p_vehicle ORDER BY p_vehicle LIMIT ${dialect.integer(question.limit)}`

/** Who was in a box in a period, in the order of their ids; `readVisitors` reads the answer. */
export function visitorsSql(dialect: Dialect, profile: TableProfile, question: VisitorsQuestion): string {
  const inTime = over('p_ts, p_lat DESC, p_long DESC')
  const inside =
    `SELECT p_vehicle, p_ts, p_lat, p_long, LAG(p_ts) ${inTime} AS p_before, LEAD(p_ts) ${inTime} AS p_then ` +
    `FROM ${insideOf(dialect, profile, question)}`
  const isArrival = `p_before IS NULL OR p_ts - p_before > ${dialect.integer(question.gapMs)}`
  const columns = [
    'p_vehicle',
    'MIN(p_ts) AS p_first',
    'MAX(p_ts) AS p_last',
    'COUNT(*) AS p_fixes',
    `COUNT(CASE WHEN ${isArrival} THEN 1 END) AS p_visits`,
    'MAX(CASE WHEN p_then IS NULL THEN p_lat END) AS p_last_lat',
    'MAX(CASE WHEN p_then IS NULL THEN p_long END) AS p_last_long',
  ]
  return (
    `SELECT ${columns.join(', ')} FROM (${inside}) i GROUP BY p_vehicle ` +
    `ORDER BY p_vehicle LIMIT ${dialect.integer(question.limit)}`
  )
}

export function* readVisitors({ rowCount, values }: ColumnBatch): Generator<Visitor> {
  const [vehicles, firsts, lasts, fixes, visits, lats, longs] = values
  for (let row = 0; row < rowCount; row++)
    yield {
      vehicle: textCell(vehicles?.[row]),
      first: numberCell(firsts?.[row]),
      timestamp: numberCell(lasts?.[row]),
      fixes: numberCell(fixes?.[row]),
      visits: numberCell(visits?.[row]),
      lat: numberCell(lats?.[row]),
      long: numberCell(longs?.[row]),
    }
}
