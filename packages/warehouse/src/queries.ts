import { decimalNumber, textAfterLabel } from '@flasktoria/contracts/labelled-value'
import type { Dialect } from './dialect.ts'
import { dayOf } from './history-layout.ts'
import { tableName, type TableFacts, type TableProfile } from './table-profile.ts'
import type { Cell, ColumnBatch } from './warehouse.ts'

/** Epoch milliseconds; both ends belong to it. */
export type Period = { from: number; to: number }

/** What is left of a period when it is gone through and has come to a time. */
export const periodBehind = (timestamp: number, { from, to }: Period, isNewestFirst: boolean): Period =>
  isNewestFirst ? { from, to: Math.min(to, timestamp) } : { from: Math.max(from, timestamp), to }

/** Both belong to it; ids are ordered by their bytes. */
export type VehicleRange = { first: string; last: string }

export type ReadingsQuestion = Period & {
  vehicle: string
  /** At least one. */
  sensors: readonly string[]
  limit: number
}
export type Reading = { sensor: string; timestamp: number; value: number }

export const costPeriods = ['day', 'week', 'month'] as const
export type CostPeriod = (typeof costPeriods)[number]
/** The periods end together, at `to`, and begin at their own times. */
export type CostQuestion = { vehicle: string; from: Record<CostPeriod, number>; to: number }
export type SpeedUse = Record<CostPeriod, { readings: number; moving: number; mean: number; meanMoving: number }>

/** Everything is compared as a number: as text, times of different lengths would stand in the wrong order. */
export const timestampOf = (dialect: Dialect, { timestamp: { column, type } }: TableFacts): string =>
  type === 'bigint' ? dialect.identifier(column) : dialect.tryCast(dialect.identifier(column), 'bigint')

/** The value as a DOUBLE, and NULL where it is no finite number. */
export function numberOf(dialect: Dialect, { value: { column, form } }: TableProfile['sensor']): string {
  const value = dialect.identifier(column)
  const number =
    form === 'number'
      ? value
      : `CASE WHEN instr(${value}, ': ') > 0 THEN ${dialect.tryCast(`substr(${value}, instr(${value}, ': ') + 2)`, 'double')} END`
  return `CASE WHEN ${number} BETWEEN -1e308 AND 1e308 THEN ${number} END`
}

/** Cuts a period where times get longer: keys are ordered as text, so only times of one length stand side by side. */
function* byLength({ from, to }: Period): Generator<Period> {
  let start = Math.max(0, from)
  while (start <= to) {
    const next = Math.min(to + 1, 10 ** String(start).length)
    yield { from: start, to: next - 1 }
    start = next
  }
}

/** Bounds of the keys `<shard>_<timestamp…>` of a period whose times have one length. */
function keyBounds(shard: number, { from, to }: Period): [atLeast: string, below: string] {
  // Behind the last number of a length stands what a colon begins: it follows the digits in every encoding.
  const below = String(to + 1).length === String(from).length ? to + 1 : ':'
  return [`${shard}_${from}`, `${shard}_${below}`]
}

/** The rows of a period, as the FROM clause of a question: each part is bounded where the engine can look things up. */
export function rowsOf(
  dialect: Dialect,
  profile: TableProfile,
  table: TableFacts,
  where: readonly string[],
  period: Period,
) {
  const ts = timestampOf(dialect, table)
  const select = ({ from, to }: Period, more: readonly string[] = []) => {
    const conditions = [...more, ...where, `${ts} BETWEEN ${dialect.integer(from)} AND ${dialect.integer(to)}`]
    if (table.day !== undefined)
      conditions.push(`${dialect.identifier(table.day)} BETWEEN ${dayOf(from)} AND ${dayOf(to)}`)
    return `SELECT * FROM ${tableName(dialect, profile, table)} WHERE ${conditions.join(' AND ')}`
  }
  const { rowKey } = table
  if (rowKey === undefined) return `(${select(period)}) t`
  const key = dialect.identifier(rowKey.column)
  const parts = [...byLength(period)].flatMap((part) =>
    Array.from({ length: rowKey.shards }, (_, shard) => {
      const [atLeast, below] = keyBounds(shard, part)
      return select(part, [`${key} >= ${dialect.text(atLeast)}`, `${key} < ${dialect.text(below)}`])
    }),
  )
  return `(${parts.length === 0 ? select(period, ['1 = 0']) : parts.join(' UNION ALL ')}) t`
}

export const equals = (dialect: Dialect, column: string, value: string) =>
  `${dialect.identifier(column)} = ${dialect.text(value)}`

export const isInRange = (dialect: Dialect, column: string, { first, last }: VehicleRange) =>
  `${dialect.identifier(column)} BETWEEN ${dialect.text(first)} AND ${dialect.text(last)}`

/** An engine skips what is not equal; of a list it looks at each row. */
export const isOneOf = (dialect: Dialect, column: string, values: readonly string[]) =>
  values.length === 1
    ? equals(dialect, column, values[0]!)
    : `${dialect.identifier(column)} IN (${values.map(dialect.text).join(', ')})`

/** Readings of some sensors of one vehicle, newest first; `readReadings` reads the answer. */
export function readingsSql(dialect: Dialect, profile: TableProfile, question: ReadingsQuestion): string {
  const { sensor: table } = profile
  if (question.sensors.length === 0) throw new RangeError('a question without sensors')
  const sensors = question.sensors.map(dialect.text).join(', ')
  const where = [
    equals(dialect, table.vehicle, question.vehicle),
    `${dialect.identifier(table.sensor)} IN (${sensors})`,
  ]
  // Words and positions have no number: they must not count against the limit.
  if (table.value.form === 'number') where.push(`${dialect.identifier(table.value.column)} IS NOT NULL`)
  const columns = [
    `${dialect.identifier(table.sensor)} AS r_sensor`,
    `${timestampOf(dialect, table)} AS r_ts`,
    `${dialect.identifier(table.value.column)} AS r_value`,
  ]
  return (
    `SELECT ${columns.join(', ')} FROM ${rowsOf(dialect, profile, table, where, question)} ` +
    `ORDER BY r_ts DESC NULLS LAST, r_sensor ASC NULLS LAST, r_value ASC NULLS LAST LIMIT ${dialect.integer(question.limit)}`
  )
}

export const numberCell = (cell: Cell | undefined): number =>
  cell === null || cell === undefined ? Number.NaN : Number(cell)
export const textCell = (cell: Cell | undefined): string => (cell === null || cell === undefined ? '' : String(cell))

/** The numeric readings of an answer, in its order. */
export function* readReadings(profile: TableProfile, { rowCount, values }: ColumnBatch): Generator<Reading> {
  const [sensors, timestamps, cells] = values
  const isLabelled = profile.sensor.value.form === 'labelled'
  for (let row = 0; row < rowCount; row++) {
    const cell = cells?.[row]
    const value = isLabelled ? decimalNumber(textAfterLabel(textCell(cell)) ?? '') : numberCell(cell)
    if (value === undefined || !Number.isFinite(value)) continue
    yield { sensor: textCell(sensors?.[row]), timestamp: numberCell(timestamps?.[row]), value }
  }
}

const longest = ({ from, to }: CostQuestion): Period => ({ from: Math.min(...costPeriods.map((p) => from[p])), to })

/** Readings of a speed sensor per period, all of them and those above `movingAbove`; `readSpeedUse` reads the answer. */
export function speedUseSql(
  dialect: Dialect,
  profile: TableProfile,
  question: CostQuestion & { sensor: string; movingAbove: number },
): string {
  const { sensor: table } = profile
  const where = [equals(dialect, table.vehicle, question.vehicle), equals(dialect, table.sensor, question.sensor)]
  const rows = rowsOf(dialect, profile, table, where, longest(question))
  const speeds = `(SELECT ${timestampOf(dialect, table)} AS s_ts, ${numberOf(dialect, table)} AS s_value FROM ${rows}) s`
  const columns = costPeriods.flatMap((period) => {
    const inside = `s_ts >= ${dialect.integer(question.from[period])}`
    const isMoving = `${inside} AND s_value > ${dialect.integer(question.movingAbove)}`
    return [
      `COUNT(CASE WHEN ${inside} THEN s_value END) AS ${period}_readings`,
      `COUNT(CASE WHEN ${isMoving} THEN s_value END) AS ${period}_moving`,
      `AVG(CASE WHEN ${inside} THEN s_value END) AS ${period}_mean`,
      `AVG(CASE WHEN ${isMoving} THEN s_value END) AS ${period}_mean_moving`,
    ]
  })
  return `SELECT ${columns.join(', ')} FROM ${speeds}`
}

/** Means of no readings are 0. */
export function readSpeedUse({ values }: ColumnBatch): SpeedUse {
  const use = (index: number) => {
    const [readings, moving, mean, meanMoving] = [0, 1, 2, 3].map((offset) => {
      const cell = values[index * 4 + offset]?.[0]
      return Number(cell ?? 0)
    })
    return { readings: readings!, moving: moving!, mean: mean!, meanMoving: meanMoving! }
  }
  return { day: use(0), week: use(1), month: use(2) }
}
