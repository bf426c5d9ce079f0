import { tableName, type TableFacts, type TableProfile } from './table-profile.ts'
import type { Cell, QueryOptions, Warehouse } from './warehouse.ts'

/** What DESCRIBE FORMATTED says of a table, as far as it concerns us. Names and types in lower case. */
export type Description = {
  /** With those that it is partitioned by. */
  columns: ReadonlyMap<string, string>
  partitions: ReadonlySet<string>
  isInHbase: boolean
}

const maxRows = 5000

/** Asks the engine what a table is like. @throws WarehouseError */
export async function describeTable(
  warehouse: Warehouse,
  profile: TableProfile,
  table: TableFacts,
  limits: Omit<QueryOptions, 'maxRows'>,
): Promise<Description> {
  const sql = `DESCRIBE FORMATTED ${tableName(warehouse.dialect, profile, table)}`
  const rows: Cell[][] = []
  for await (const { rowCount, values } of warehouse.query(sql, { ...limits, maxRows }))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row] ?? null))
  return readDescription(rows)
}

/**
 * Hive, Spark and Impala answer alike: rows of name and type, sections that begin with `# …`. The columns stand first, those
 * of the partitions below `# Partition Information` (Spark lists these twice).
 */
export function readDescription(rows: readonly (readonly Cell[])[]): Description {
  const columns = new Map<string, string>()
  const partitions = new Set<string>()
  let section = ''
  let isInHbase = false
  for (const cells of rows) {
    const [name = '', type = ''] = cells.map((cell) =>
      String(cell ?? '')
        .trim()
        .toLowerCase(),
    )
    if (/hbase/.test(type) && /storage|handler|inputformat/.test(`${name} ${type}`)) isInHbase = true
    if (name.startsWith('#') && name.replace(/^# */, '') !== 'col_name') section = name.replace(/^# */, '')
    if (name === '' || name.startsWith('#') || type === '') continue
    if (section === '') columns.set(name, type)
    if (section === 'partition information') {
      columns.set(name, type)
      partitions.add(name)
    }
  }
  return { columns, partitions, isInHbase }
}

const text = { name: 'a text', pattern: /^(?:string|varchar|char)\b/ }
const integer = { name: 'an integer', pattern: /^(?:bigint|int|integer|smallint|tinyint)\b/ }
const bigint = { name: 'a BIGINT of epoch milliseconds', pattern: /^bigint\b/ }
const number = { name: 'a number', pattern: /^(?:double|float|real|bigint|int|smallint|tinyint|decimal)\b/ }
type Type = typeof text

/** Sentences, one for each column that is not as the profile says. */
export function columnMistakes({ columns }: Description, table: TableFacts): string[] {
  return wantedColumns(table).flatMap(([column, { name, pattern }]) => {
    const type = columns.get(column.toLowerCase())
    if (type === undefined) return [`there is no column ${column} (there are ${[...columns.keys()].join(', ')})`]
    return pattern.test(type) ? [] : [`column ${column} is ${type.toUpperCase()}, and should be ${name}`]
  })
}

function wantedColumns(table: TableFacts): [column: string, type: Type][] {
  const { vehicle, timestamp, day, rowKey } = table
  return [
    [vehicle, text],
    [timestamp.column, timestamp.type === 'bigint' ? bigint : text],
    ...own(table),
    ...(day === undefined ? [] : [[day, integer] satisfies [string, Type]]),
    ...(rowKey === undefined ? [] : [[rowKey.column, text] satisfies [string, Type]]),
  ]
}

function own(table: TableFacts): [column: string, type: Type][] {
  if ('sensor' in table)
    return [
      [table.sensor, text],
      [table.value.column, table.value.form === 'number' ? number : text],
      ...(table.position?.form === 'columns' ? positionColumns(table.position) : []),
    ]
  const texts = [table.detectionTime, table.confirmationTime, table.rootCause, table.recommendation]
  return [[table.anomalyId, integer], ...texts.flatMap((column) => (column ? [[column, text] as [string, Type]] : []))]
}

const positionColumns = ({ lat, long }: { lat: string; long: string }): [column: string, type: Type][] => [
  [lat, number],
  [long, number],
]
