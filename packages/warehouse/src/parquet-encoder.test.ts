import * as fc from 'fast-check'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { HistoryColumns, type ParquetRow } from './history-columns.ts'
import { historyTables, type HistoryTable } from './history-layout.ts'
import { encodeParquet, rowGroupRows } from './parquet-encoder.ts'
import { createDuckdbWarehouse } from './warehouse-duckdb.ts'
import type { Cell } from './warehouse.ts'

vi.setConfig({ testTimeout: 60_000 })

const directory = mkdtempSync(join(tmpdir(), 'parquet-encoder-'))
const warehouse = await createDuckdbWarehouse({ directory })
afterAll(async () => {
  await warehouse.close()
  rmSync(directory, { recursive: true })
})
const path = join(directory, 'x.parquet')

async function ask(sql: string): Promise<Cell[][]> {
  const rows: Cell[][] = []
  const options = { signal: new AbortController().signal, deadlineMs: 30_000, maxRows: 1e6 }
  for await (const { rowCount, values } of warehouse.query(sql.replace('FILE', `'${path}'`), options))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  return rows
}

const asLines = (rows: readonly (readonly unknown[])[]) => rows.map((row) => JSON.stringify(row)).toSorted()

async function encode(table: HistoryTable, rows: readonly ParquetRow[]): Promise<void> {
  writeFileSync(path, await encodeParquet(new HistoryColumns(table, rows)))
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.replaceAll('\0', '').toWellFormed())
const id = fc.oneof(fc.constantFrom('a', 'b', 'é', '\u{10348}', '\uffee'), text)
const number = fc
  .oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, 1e-300, -5.5, 1e9))
  .map((value) => value + 0)
const time = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: 1.7e12, max: 1.7e12 + 50 }))
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null })
const sensorRow: fc.Arbitrary<ParquetRow> = fc.tuple(
  id,
  id,
  time,
  optional(number),
  optional(text),
  optional(number),
  optional(number),
)
const anomalyRow: fc.Arbitrary<ParquetRow> = fc.tuple(
  id,
  id,
  time,
  optional(text),
  optional(text),
  optional(fc.integer()),
  optional(text),
  optional(text),
)

test.each([
  ['sensor', historyTables.sensor, sensorRow],
  ['anomaly', historyTables.anomaly, anomalyRow],
] as const)('%s rows come back as they were, in the order of their table', async (_, table, row) => {
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 60 }), async (rows) => {
      await encode(table, rows)
      const back = await ask('SELECT * FROM FILE')
      expect(asLines(back)).toEqual(asLines(rows))
      const order = table.order.map((name) => `"${name}" NULLS LAST`).join(', ')
      const keys = table.order.map((name) => `"${name}"`).join(', ')
      expect(await ask(`SELECT ${keys} FROM FILE`)).toEqual(await ask(`SELECT ${keys} FROM FILE ORDER BY ${order}`))
    }),
    { numRuns: 150 },
  )
})

test('what is searched for is found, whatever is skipped', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(sensorRow, { minLength: 1, maxLength: 60 }), fc.nat(), async (rows, at) => {
      await encode(historyTables.sensor, rows)
      const [uuid, sensor, ts, value] = rows[at % rows.length]!
      const quoted = (name: unknown) => `'${String(name).replaceAll("'", "''")}'`
      const found = await ask(
        `SELECT count(*) FROM FILE WHERE uuid = ${quoted(uuid)} AND sensor = ${quoted(sensor)} AND ts = ${String(ts)}` +
          (value === null ? '' : ` AND value = ${String(value)}::DOUBLE`),
      )
      expect(found[0]![0]).toBeGreaterThan(0)
    }),
    { numRuns: 100 },
  )
})

test("one vehicle's day is one or two of many row groups, and each knows its vehicles", async () => {
  const vehicles = 500
  const rows = Array.from({ length: 100_000 }, (_, index): ParquetRow => {
    const vehicle = `v${String(index % vehicles).padStart(4, '0')}`
    const sensor = `s${(index >> 9) % 5}`
    return [vehicle, sensor, 1_795_500_000_000 + index * 100, index % 977, String(index % 977), null, null]
  })
  await encode(historyTables.sensor, rows)
  const groups = await ask(
    "SELECT row_group_num_rows, stats_min_value, stats_max_value FROM parquet_metadata(FILE) WHERE path_in_schema = 'uuid' ORDER BY row_group_id",
  )
  expect(groups.map(([count]) => count)).toEqual([...Array<number>(4).fill(rowGroupRows), 100_000 - 4 * rowGroupRows])
  const ofOne = groups.filter(([, least, most]) => String(least) <= 'v0042' && 'v0042' <= String(most))
  expect(ofOne).toHaveLength(1)
  expect(asLines(await ask("SELECT * FROM FILE WHERE uuid = 'v0042'"))).toEqual(
    asLines(rows.filter(([vehicle]) => vehicle === 'v0042')),
  )
})

test('a part of the rows makes a file of its own', async () => {
  const rows = new HistoryColumns(historyTables.sensor)
  for (let index = 0; index < 10; index++) rows.push(['v', 's', 10 - index, index, 'x', null, null])
  writeFileSync(path, await encodeParquet(rows, 3, 6))
  expect(await ask('SELECT ts, value FROM FILE')).toEqual([
    [5, 5],
    [6, 4],
    [7, 3],
  ])
})
