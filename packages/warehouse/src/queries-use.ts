import type { Dialect } from './dialect.ts'
import {
  equals,
  isInRange,
  numberCell,
  numberOf,
  rowsOf,
  textCell,
  timestampOf,
  type Period,
  type VehicleRange,
} from './queries.ts'
import type { TableProfile } from './table-profile.ts'
import type { ColumnBatch } from './warehouse.ts'

type UseQuestion = Period & {
  /** Absent: the fleet, or those of it whose ids lie in a range. */
  vehicle?: string | undefined
  vehicles?: VehicleRange | undefined
  sensor: string
  limit: number
}
export type VehicleReadings = { vehicle: string; readings: number }
export type DrivingQuestion = UseQuestion & {
  /** km/h. A vehicle that is faster moves. */
  movingAbove: number
  /** km/h. A vehicle that is faster is too fast. */
  speedLimit: number
  /** Nobody knows what a vehicle did that said nothing for longer. */
  gapMs: number
}
export type FuelQuestion = UseQuestion & {
  /** Levels are averaged over it, so that what sloshes in the tank does not count. */
  intervalMs: number
  /** A level that rises by so much from one interval to the next was filled up. */
  filledAbove: number
}

/** By speed readings: what a reading says is true until the next one. Times in milliseconds. */
export type Driving = {
  vehicle: string
  readings: number
  movingMs: number
  idleMs: number
  distanceMetres: number
  overspeedMs: number
  overspeeds: number
  maxSpeedKmh: number
  first: number
  firstAt: number
  last: number
  lastAt: number
}
/** In the unit of the level sensor. */
export type FuelUse = {
  vehicle: string
  readings: number
  used: number
  filled: number
  fillings: number
  /** The mean of the first interval with readings, and of the last one. */
  firstMean: number
  lastMean: number
}

/** No vehicle is faster, in km/h: such a reading is an error of the sensor. */
export const absurdSpeed = 500

/** Readings of one sensor as a FROM clause, those without a number left out. */
function readingsOf(
  dialect: Dialect,
  profile: TableProfile,
  { vehicle, vehicles, sensor, ...period }: UseQuestion,
): string {
  const { sensor: table } = profile
  const where = [equals(dialect, table.sensor, sensor)]
  if (vehicle !== undefined) where.push(equals(dialect, table.vehicle, vehicle))
  if (vehicles) where.push(isInRange(dialect, table.vehicle, vehicles))
  const columns = [
    `${dialect.identifier(table.vehicle)} AS u_vehicle`,
    `${timestampOf(dialect, table)} AS u_ts`,
    `${numberOf(dialect, table)} AS u_value`,
  ]
  const rows = `SELECT ${columns.join(', ')} FROM ${rowsOf(dialect, profile, table, where, period)}`
  return `(SELECT * FROM (${rows}) a WHERE u_value IS NOT NULL) u`
}

const inTime = 'OVER (PARTITION BY u_vehicle ORDER BY u_ts, u_value)'

/** How many readings of a sensor each vehicle has in a period, in the order of their ids; `readCounts` reads the answer. */
export const countsSql = (dialect: Dialect, profile: TableProfile, question: UseQuestion): string =>
  `SELECT u_vehicle, COUNT(*) AS u_readings FROM ${readingsOf(dialect, profile, question)} ` +
  `GROUP BY u_vehicle ORDER BY u_vehicle LIMIT ${dialect.integer(question.limit)}`

export function* readCounts({ rowCount, values }: ColumnBatch): Generator<VehicleReadings> {
  for (let row = 0; row < rowCount; row++)
    yield { vehicle: textCell(values[0]?.[row]), readings: numberCell(values[1]?.[row]) }
}

const count = (condition: string) => `COUNT(CASE WHEN ${condition} THEN 1 END)`

/** How each vehicle drove in a period, in the order of their ids; `readDriving` reads the answer. */
export function drivingSql(dialect: Dialect, profile: TableProfile, question: DrivingQuestion): string {
  const { integer } = dialect
  const [moving, limit, gap] = [question.movingAbove, question.speedLimit, question.gapMs].map(integer)
  const steps =
    `SELECT u_vehicle, u_ts, u_value, LEAD(u_value) ${inTime} AS u_then, LEAD(u_ts) ${inTime} - u_ts AS u_ms, ` +
    `LAG(u_value) ${inTime} AS u_before ` +
    `FROM ${readingsOf(dialect, profile, question)} WHERE u_value BETWEEN 0 AND ${absurdSpeed}`
  const sum = (condition: string, amount: string) =>
    `SUM(CASE WHEN u_ms <= ${gap} AND ${condition} THEN ${amount} ELSE 0 END)`
  const beginsAtOnce = `u_before IS NULL AND u_value > ${limit}`
  const beginsThen = `u_then > ${limit} AND (u_value <= ${limit} OR u_ms > ${gap})`
  const columns = [
    'u_vehicle',
    'COUNT(*) AS u_readings',
    `${sum(`u_value > ${moving}`, 'u_ms')} AS u_moving`,
    `${sum(`u_value <= ${moving}`, 'u_ms')} AS u_idle`,
    // km/h × ms / 3,600 are metres.
    `${sum('1 = 1', '(u_value + u_then) / 2 * u_ms / 3600')} AS u_distance`,
    `${sum(`u_value > ${limit}`, 'u_ms')} AS u_over`,
    `${count(beginsAtOnce)} + ${count(beginsThen)} AS u_overs`,
    'MAX(u_value) AS u_max',
    'MAX(CASE WHEN u_before IS NULL THEN u_value END) AS u_first',
    'MIN(u_ts) AS u_first_ts',
    'MAX(CASE WHEN u_then IS NULL THEN u_value END) AS u_last',
    'MAX(u_ts) AS u_last_ts',
  ]
  return `SELECT ${columns.join(', ')} FROM (${steps}) s GROUP BY u_vehicle ORDER BY u_vehicle LIMIT ${integer(question.limit)}`
}

export function* readDriving({ rowCount, values }: ColumnBatch): Generator<Driving> {
  const number = (column: number, row: number) => numberCell(values[column]?.[row])
  for (let row = 0; row < rowCount; row++)
    yield {
      vehicle: textCell(values[0]?.[row]),
      readings: number(1, row),
      movingMs: number(2, row),
      idleMs: number(3, row),
      distanceMetres: number(4, row),
      overspeedMs: number(5, row),
      overspeeds: number(6, row),
      maxSpeedKmh: number(7, row),
      first: number(8, row),
      firstAt: number(9, row),
      last: number(10, row),
      lastAt: number(11, row),
    }
}

/**
 * What each vehicle took out of its tank in a period, and what was filled in, in the order of their ids; `readFuelUse` reads
 * the answer. What is not filled in is used: the little ups and downs of a level cancel each other out.
 */
export function fuelUseSql(dialect: Dialect, profile: TableProfile, question: FuelQuestion): string {
  const interval = `u_ts - u_ts % ${dialect.integer(question.intervalMs)}`
  const levels =
    `SELECT u_vehicle, ${interval} AS u_ts, AVG(u_value) AS u_value, COUNT(*) AS u_count ` +
    `FROM ${readingsOf(dialect, profile, question)} GROUP BY u_vehicle, ${interval}`
  const rises =
    `SELECT u_vehicle, u_value, u_count, u_value - LAG(u_value) ${inTime} AS u_rise, LEAD(u_ts) ${inTime} AS u_next ` +
    `FROM (${levels}) l`
  const isFilled = `u_rise >= ${dialect.integer(question.filledAbove)}`
  const columns = [
    'u_vehicle',
    'SUM(u_count) AS u_readings',
    `COALESCE(SUM(CASE WHEN ${isFilled} THEN 0 ELSE -u_rise END), 0) AS u_used`,
    `SUM(CASE WHEN ${isFilled} THEN u_rise ELSE 0 END) AS u_filled`,
    `COUNT(CASE WHEN ${isFilled} THEN 1 END) AS u_fillings`,
    'MAX(CASE WHEN u_rise IS NULL THEN u_value END) AS u_first',
    'MAX(CASE WHEN u_next IS NULL THEN u_value END) AS u_last',
  ]
  return (
    `SELECT ${columns.join(', ')} FROM (${rises}) r GROUP BY u_vehicle ORDER BY u_vehicle ` +
    `LIMIT ${dialect.integer(question.limit)}`
  )
}

export function* readFuelUse({ rowCount, values }: ColumnBatch): Generator<FuelUse> {
  const number = (column: number, row: number) => numberCell(values[column]?.[row])
  for (let row = 0; row < rowCount; row++)
    yield {
      vehicle: textCell(values[0]?.[row]),
      readings: number(1, row),
      used: number(2, row),
      filled: number(3, row),
      fillings: number(4, row),
      firstMean: number(5, row),
      lastMean: number(6, row),
    }
}
