import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Dialect } from './dialect.ts'
import { tableProfiles } from './table-profile.ts'

/**
 * How history lies on disk: `<directory>/<table>/day=20261124/<topic>-<partition>-<first>-<last>.parquet`.
 *
 * A file holds every record of its day between the first and the last offset of its name. So the names alone tell what was
 * written, and a file whose range lies inside another's is a leftover of a merge: its rows are in the other one.
 */
export type ColumnType = 'text' | 'bigint' | 'integer' | 'double'
export type HistoryTable = {
  /** As in the table profile `own`. */
  name: string
  directory: string
  columns: Readonly<Record<string, ColumnType>>
  /** Rows of one vehicle stand together, so that a question about it skips the rest of a file. */
  order: readonly string[]
}

export const historyTables = {
  sensor: {
    name: tableProfiles.own.sensor.table,
    directory: 'sensor',
    columns: {
      uuid: 'text',
      sensor: 'text',
      ts: 'bigint',
      value: 'double',
      text: 'text',
      lat: 'double',
      long: 'double',
    },
    order: ['uuid', 'sensor', 'ts'],
  },
  anomaly: {
    name: tableProfiles.own.anomaly.table,
    directory: 'anomaly',
    columns: {
      uuid: 'text',
      sensor: 'text',
      ts: 'bigint',
      detection_time: 'text',
      confirmation_time: 'text',
      anomaly_id: 'integer',
      root_cause: 'text',
      recommendation: 'text',
    },
    order: ['uuid', 'sensor', 'ts', 'anomaly_id'],
  },
} as const satisfies Record<string, HistoryTable>
export type HistoryTableName = keyof typeof historyTables

const [firstMs, lastMs] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')]

const dayMs = 86_400_000
let lastDay = { start: NaN, day: 0 }

/** UTC day of an epoch time as `yyyymmdd`; times outside the years 1 to 9999 count as the nearest one inside. */
export function dayOf(ts: number): number {
  const start = Math.floor(Math.min(Math.max(ts, firstMs), lastMs) / dayMs) * dayMs
  // Most records are of one day, and a calendar costs more than the rest of a row.
  if (start !== lastDay.start) {
    const date = new Date(start)
    lastDay = { start, day: date.getUTCFullYear() * 10_000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate() }
  }
  return lastDay.day
}

export const dayDirectory = (day: number): string => `day=${day}`
/** Undefined: no folder of a day. */
export function dayOfDirectory(name: string): number | undefined {
  const day = /^day=(\d{8})$/.exec(name)?.[1]
  return day === undefined ? undefined : Number(day)
}

export type OffsetRange = { first: number; last: number }
export type HistoryFile = OffsetRange & {
  /** Topic and partition, as file names spell them. */
  stream: string
}

const maxTopicLength = 120
const escape = (text: string) => Buffer.from(text).toString('hex').replace(/../g, '~$&')

/** Topic and partition for a file name: injective, and never hidden from engines (which skip a leading dot or underscore). */
export function streamName(topic: string, partition: number): string {
  const safe = topic.replace(/[^A-Za-z0-9._-]/gu, escape).replace(/^[._]/, escape)
  const short =
    safe.length <= maxTopicLength
      ? safe
      : `${safe.slice(0, maxTopicLength)}~${createHash('sha256').update(topic).digest('hex').slice(0, 24)}`
  return `${short}-${partition}`
}

export const fileName = ({ stream, first, last }: HistoryFile): string => `${stream}-${first}-${last}.parquet`

/** Undefined: not a file of the history writer. */
export function parseFileName(name: string): HistoryFile | undefined {
  const match = /^(.+-\d+)-(\d{1,16})-(\d{1,16})\.parquet$/.exec(name)
  if (!match) return undefined
  const [first, last] = [Number(match[2]), Number(match[3])]
  return first <= last ? { stream: match[1]!, first, last } : undefined
}

/** Engines skip what begins with a dot or an underscore. */
export const isParquet = (name: string): boolean => name.endsWith('.parquet') && !/^[._]/.test(name)

export const isFileOf = (stream: string, name: string): boolean => parseFileName(name)?.stream === stream

/** Names of the files whose rows another one of the same day holds too. */
export function supersededNames(names: readonly string[]): string[] {
  const files = names.flatMap((name) => parseFileName(name) ?? [])
  return [...Map.groupBy(files, ({ stream }) => stream).values()].flatMap((ranges) => {
    const widestFirst = ranges.toSorted((a, b) => a.first - b.first || b.last - a.last)
    let reach = -1
    return widestFirst.flatMap((file) => {
      if (file.last <= reach) return fileName(file)
      reach = file.last
      return []
    })
  })
}

async function entriesOf(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return []
    throw error
  }
}

/** The days of which a table has a folder. A missing folder is an empty table. */
export async function listDays(directory: string, table: HistoryTable): Promise<number[]> {
  const days = await entriesOf(join(directory, table.directory))
  return days.flatMap((name) => dayOfDirectory(name) ?? []).toSorted((a, b) => a - b)
}

/** The Parquet files of a day, by whomever they were written, leftovers of merges too. */
export async function listFiles(directory: string, table: HistoryTable, day: number): Promise<string[]> {
  const files = await entriesOf(join(directory, table.directory, dayDirectory(day)))
  return files.filter(isParquet).toSorted()
}

/** Both belong to it; days as in `dayOf`. */
export type DayRange = { from: number; to: number }

/** The paths of all files that together hold each row of a table once, or of some of its days. */
export async function listLivePaths(directory: string, table: HistoryTable, range?: DayRange): Promise<string[]> {
  const all = await listDays(directory, table)
  const days = range ? all.filter((day) => day >= range.from && day <= range.to) : all
  const paths = await Promise.all(
    days.map(async (day) => {
      const files = await listFiles(directory, table, day)
      const superseded = new Set(supersededNames(files))
      return files
        .filter((name) => !superseded.has(name))
        .map((name) => join(directory, table.directory, dayDirectory(day), name))
    }),
  )
  return paths.flat()
}

const typeNames: Record<'duckdb' | 'others', Record<ColumnType, string>> = {
  duckdb: { text: 'VARCHAR', bigint: 'BIGINT', integer: 'INTEGER', double: 'DOUBLE' },
  others: { text: 'STRING', bigint: 'BIGINT', integer: 'INT', double: 'DOUBLE' },
}
export const typeName = (dialect: Dialect, type: ColumnType): string =>
  typeNames[dialect.name === 'duckdb' ? 'duckdb' : 'others'][type]

export const columnList = (dialect: Dialect, columns: HistoryTable['columns']): string =>
  Object.entries(columns)
    .map(([name, type]) => `${dialect.identifier(name)} ${typeName(dialect, type)}`)
    .join(', ')

/** Makes the table known to a HiveServer2 engine. `location` is the folder above the tables as the engine names it. */
export function createTableStatement(dialect: Dialect, qualifiedName: string, table: HistoryTable, location: string) {
  const columns = columnList(dialect, table.columns)
  const at = dialect.text(`${location.replace(/\/+$/, '')}/${table.directory}`)
  return dialect.name === 'spark'
    ? `CREATE TABLE IF NOT EXISTS ${qualifiedName} (${columns}, \`day\` INT) USING parquet PARTITIONED BY (\`day\`) LOCATION ${at}`
    : `CREATE EXTERNAL TABLE IF NOT EXISTS ${qualifiedName} (${columns}) PARTITIONED BY (\`day\` INT) STORED AS PARQUET LOCATION ${at}`
}

/** Makes the folders of some days known. */
export const addPartitionsStatement = (dialect: Dialect, qualifiedName: string, days: readonly number[]): string =>
  `ALTER TABLE ${qualifiedName} ADD IF NOT EXISTS ${days.map((day) => `PARTITION (\`day\`=${dialect.integer(day)})`).join(' ')}`

/** Makes the folder of a day unknown; its files stay. */
export const dropPartitionStatement = (dialect: Dialect, qualifiedName: string, day: number): string =>
  `ALTER TABLE ${qualifiedName} DROP IF EXISTS PARTITION (\`day\`=${dialect.integer(day)})`

/** The tables of the profile `legacy`, for engines that have no HBase. */
export const legacyTableStatements = (dialect: Dialect): string[] => [
  `CREATE TABLE IF NOT EXISTS ${dialect.identifier('sensor')} (${columnList(dialect, {
    timestamp: 'text',
    sensor: 'text',
    uuid: 'text',
    value: 'text',
  })})`,
  `CREATE TABLE IF NOT EXISTS ${dialect.identifier('anomaly')} (${columnList(dialect, {
    timestamp: 'bigint',
    detection_time: 'text',
    confirmation_time: 'text',
    sensor: 'text',
    uuid: 'text',
    anomaly_id: 'integer',
  })})`,
]
