import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { dialects } from './dialects.ts'
import { legacyTableStatements } from './history-layout.ts'
import { labelledRows, positionQueries, writeOwnRows } from './queries-positions.conformance.ts'
import { latestSql, trackSql, visitorsSql } from './queries-positions.ts'
import { drivingSql, fuelUseSql } from './queries-use.ts'
import { tableProfiles, type TableProfile } from './table-profile.ts'
import { createDuckdbWarehouse } from './warehouse-duckdb.ts'

vi.setConfig({ testTimeout: 30_000 })

const { duckdb } = dialects
const { own, legacy } = tableProfiles

async function openFolder() {
  const directory = mkdtempSync(join(tmpdir(), 'positions-'))
  const warehouse = await createDuckdbWarehouse({ directory })
  const close = async () => {
    await warehouse.close()
    rmSync(directory, { recursive: true })
  }
  return { directory, warehouse, close }
}

positionQueries('DuckDB over our own Parquet files', async () => {
  const { directory, warehouse, close } = await openFolder()
  await writeOwnRows(directory)
  return { warehouse, profile: own, close }
})

const run = async (warehouse: Awaited<ReturnType<typeof openFolder>>['warehouse'], sql: string) =>
  warehouse.execute(sql, { signal: AbortSignal.timeout(10_000), deadlineMs: 10_000 })
const valuesOf = (rows: readonly (readonly string[])[]) =>
  rows.map((row) => `(${row.map(duckdb.text).join(', ')})`).join(', ')

positionQueries('DuckDB over the old labelled text', async () => {
  const { warehouse, close } = await openFolder()
  for (const sql of legacyTableStatements(duckdb)) await run(warehouse, sql)
  await run(warehouse, `INSERT INTO sensor VALUES ${valuesOf(labelledRows)}`)
  return { warehouse, profile: legacy, close }
})

positionQueries('DuckDB over tables by row key', async () => {
  const { warehouse, close } = await openFolder()
  await run(warehouse, 'CREATE TABLE keyed (id TEXT, timestamp TEXT, sensor TEXT, uuid TEXT, value TEXT)')
  const rows = labelledRows.map((row, index) => [`${index % 3}_${row[0]}_${row[2]}`, ...row])
  await run(warehouse, `INSERT INTO keyed VALUES ${valuesOf(rows)}`)
  const sensor = { ...legacy.sensor, table: 'keyed', rowKey: { column: 'id', shards: 3 } }
  return { warehouse, profile: { ...legacy, sensor }, close }
})

const period = { from: Date.UTC(2026, 10, 23), to: Date.UTC(2026, 10, 24), limit: 7 }
const box = { west: 1, south: 2, east: 3, north: 4 }
const speed = { sensor: 's', movingAbove: 1, speedLimit: 100, gapMs: 1 }
const statements = (dialect: (typeof dialects)[keyof typeof dialects], profile: TableProfile) => [
  trackSql(dialect, profile, { ...period, vehicle: 'v' }),
  latestSql(dialect, profile, period),
  visitorsSql(dialect, profile, { ...period, box, gapMs: 1 }),
  drivingSql(dialect, profile, { ...period, ...speed }),
  fuelUseSql(dialect, profile, { ...period, sensor: 's', intervalMs: 1, filledAbove: 1 }),
]

test('every question names its days and bounds its answer', () => {
  for (const dialect of Object.values(dialects))
    for (const sql of statements(dialect, own)) {
      expect(sql).toContain(`${dialect.identifier('day')} BETWEEN 20261123 AND 20261124`)
      expect(sql).toMatch(/ LIMIT 7$/)
    }
})

test('what is no number never becomes SQL, and tables without positions have none', () => {
  expect(() => visitorsSql(duckdb, own, { ...period, box: { ...box, east: NaN }, gapMs: 1 })).toThrow(RangeError)
  expect(() => trackSql(duckdb, own, { ...period, vehicle: 'a\0' })).toThrow(RangeError)
  const { position: _, ...sensor } = own.sensor
  expect(() => latestSql(duckdb, { ...own, sensor }, period)).toThrow(/no positions/)
})
