import { decimalNumber, textAfterLabel } from '@flasktoria/contracts/labelled-value'
import type { Dialect } from './dialect.ts'
import {
  equals,
  isOneOf,
  numberCell,
  numberOf,
  periodBehind,
  rowsOf,
  textCell,
  timestampOf,
  type Period,
} from './queries.ts'
import type { TableProfile } from './table-profile.ts'
import type { Cell, ColumnBatch } from './warehouse.ts'

/** Where a reading stands: oldest first, those of one time in the order of their sensors' bytes. */
export type ReadingKey = { timestamp: number; sensor: string }

type SeriesQuestion = Period & {
  vehicle: string
  /** At least one. */
  sensors: readonly string[]
}
export type PageQuestion = SeriesQuestion & {
  /** From the last reading to the first. */
  isReversed?: boolean | undefined
  /** Only what stands behind it. */
  after?: ReadingKey | undefined
  limit: number
}
export type BucketsQuestion = SeriesQuestion & { bucketMs: number; origin: number }

/** What the readings of a sensor come to in a bucket of time. Of equal readings the earliest one counts. */
export type Bucket = {
  sensor: string
  /** Begin of the bucket. */
  start: number
  count: number
  sum: number
  first: number
  firstAt: number
  last: number
  lastAt: number
  min: number
  minAt: number
  max: number
  maxAt: number
}

function seriesRows(dialect: Dialect, profile: TableProfile, question: SeriesQuestion, more: readonly string[] = []) {
  const { sensor: table } = profile
  if (question.sensors.length === 0) throw new RangeError('a question without sensors')
  const { form, column } = table.value
  const where = [
    equals(dialect, table.vehicle, question.vehicle),
    isOneOf(dialect, table.sensor, question.sensors),
    // Words and positions have no number: they must neither count against the limit nor stand for a reading.
    `${form === 'number' ? dialect.identifier(column) : numberOf(dialect, table)} IS NOT NULL`,
    ...more,
  ]
  return rowsOf(dialect, profile, table, where, question)
}

/** Readings of some sensors of one vehicle, from a key on; `readPage` reads the answer. */
export function pageSql(dialect: Dialect, profile: TableProfile, question: PageQuestion): string {
  const { sensor: table } = profile
  const { isReversed = false, after } = question
  const sensor = dialect.identifier(table.sensor)
  const ts = timestampOf(dialect, table)
  const [beyond, order] = isReversed ? ['<', 'DESC'] : ['>', 'ASC']
  const behind = after && [
    `(${ts} ${beyond} ${dialect.integer(after.timestamp)} OR ${sensor} ${beyond} ${dialect.text(after.sensor)})`,
  ]
  const period = after ? periodBehind(after.timestamp, question, isReversed) : question
  const columns = [`${ts} AS r_ts`, `${sensor} AS r_sensor`, `${dialect.identifier(table.value.column)} AS r_value`]
  return (
    `SELECT ${columns.join(', ')} FROM ${seriesRows(dialect, profile, { ...question, ...period }, behind)} ` +
    // Of those that stand in one place, the same one is the first from either end.
    `ORDER BY r_ts ${order} NULLS LAST, r_sensor ${order} NULLS LAST, r_value ASC NULLS LAST LIMIT ${dialect.integer(question.limit)}`
  )
}

export type PageColumns = { timestamps: readonly number[]; sensors: readonly string[]; values: number[] }

/** The rows of an answer, by column. A value that is no finite number is NaN. */
export function readPage(profile: TableProfile, { values }: ColumnBatch): PageColumns {
  const [timestamps = [], sensors = [], cells = []] = values
  const read = profile.sensor.value.form === 'labelled' ? labelledNumber : finiteNumber
  return { timestamps: timestamps.map(numberCell), sensors: sensors.map(textCell), values: cells.map(read) }
}

const labelledNumber = (cell: Cell): number => decimalNumber(textAfterLabel(textCell(cell)) ?? '') ?? Number.NaN
const finiteNumber = (cell: Cell): number => {
  const value = numberCell(cell)
  return Number.isFinite(value) ? value : Number.NaN
}

/**
 * What the readings of some sensors come to in buckets of time, in the order of their begins and sensors; `readBuckets` reads
 * the answer. Buckets begin at multiples of their length from `origin` on, which is not behind the period. Of readings that
 * stand twice, one counts.
 */
export function bucketsSql(dialect: Dialect, profile: TableProfile, question: BucketsQuestion): string {
  const { sensor: table } = profile
  const [origin, length] = [dialect.integer(question.origin), dialect.integer(question.bucketMs)]
  const readings =
    `SELECT ${dialect.identifier(table.sensor)} AS b_sensor, ${timestampOf(dialect, table)} AS b_ts, ` +
    `${numberOf(dialect, table)} AS b_value FROM ${seriesRows(dialect, profile, question)}`
  const once =
    `SELECT b_sensor, b_ts, b_ts - (b_ts - ${origin}) % ${length} AS b_start, MIN(b_value) AS b_value ` +
    `FROM (${readings}) r WHERE b_value IS NOT NULL GROUP BY b_sensor, b_ts`
  const { first, last, leastAt, greatestAt, rows } = dialect.rowOf
    ? endsByArgument(dialect.rowOf, once)
    : endsByWindow(once)
  const columns = [
    'b_sensor',
    'b_start',
    'COUNT(*) AS b_count',
    'SUM(b_value) AS b_sum',
    `${first} AS first_value`,
    'MIN(b_ts) AS first_ts',
    `${last} AS last_value`,
    'MAX(b_ts) AS last_ts',
    'MIN(b_value) AS min_value',
    `${leastAt} AS min_ts`,
    'MAX(b_value) AS max_value',
    `${greatestAt} AS max_ts`,
  ]
  return `SELECT ${columns.join(', ')} FROM ${rows} GROUP BY b_sensor, b_start ORDER BY b_start, b_sensor`
}

const endsByArgument = ({ least, greatest }: NonNullable<Dialect['rowOf']>, once: string) => ({
  first: least('b_value', 'b_ts'),
  last: greatest('b_value', 'b_ts'),
  leastAt: least('b_ts', 'b_value', 'b_ts'),
  greatestAt: greatest('b_ts', 'b_value', '-b_ts'),
  rows: `(${once}) o`,
})

/** The same, where an engine has to look at the whole bucket from each of its rows; several times as dear. */
function endsByWindow(once: string) {
  const ends = Object.entries({ first: 'MIN(b_ts)', last: 'MAX(b_ts)', min: 'MIN(b_value)', max: 'MAX(b_value)' }).map(
    ([name, end]) => `${end} OVER (PARTITION BY b_sensor, b_start) AS b_${name}`,
  )
  return {
    first: 'MAX(CASE WHEN b_ts = b_first THEN b_value END)',
    last: 'MAX(CASE WHEN b_ts = b_last THEN b_value END)',
    leastAt: 'MIN(CASE WHEN b_value = b_min THEN b_ts END)',
    greatestAt: 'MIN(CASE WHEN b_value = b_max THEN b_ts END)',
    rows: `(SELECT o.*, ${ends.join(', ')} FROM (${once}) o) e`,
  }
}

export function* readBuckets({ rowCount, values }: ColumnBatch): Generator<Bucket> {
  const cell = (column: number, row: number) => numberCell(values[column]?.[row])
  for (let row = 0; row < rowCount; row++)
    yield {
      sensor: textCell(values[0]?.[row]),
      start: cell(1, row),
      count: cell(2, row),
      sum: cell(3, row),
      first: cell(4, row),
      firstAt: cell(5, row),
      last: cell(6, row),
      lastAt: cell(7, row),
      min: cell(8, row),
      minAt: cell(9, row),
      max: cell(10, row),
      maxAt: cell(11, row),
    }
}
