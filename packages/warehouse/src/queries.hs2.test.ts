import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { dialects } from './dialects.ts'
import {
  addPartitionsStatement,
  createTableStatement,
  dayOf,
  historyTables,
  legacyTableStatements,
} from './history-layout.ts'
import { openParquetWriter } from './parquet-writer.ts'
import { legacySampleValues, queriesConformance, writeSampleRows } from './queries.conformance.ts'
import { readReadings, readingsSql, speedUseSql } from './queries.ts'
import { refreshStatements, tableName, tableProfiles, type TableProfile } from './table-profile.ts'
import { createDuckdbWarehouse } from './warehouse-duckdb.ts'
import { createHs2Warehouse, type Hs2Warehouse } from './warehouse-hs2.ts'
import type { Cell, Warehouse } from './warehouse.ts'

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

const database = `queries_${process.pid}_${Date.now().toString(36)}`
const own: TableProfile = { ...tableProfiles.own, database }
const legacy: TableProfile = { ...tableProfiles.legacy, database: `${database}_legacy` }
const folder = mkdtempSync(join(tmpdir(), 'queries-hs2-'))
const { signal } = new AbortController()
const noon = Date.UTC(2026, 10, 24, 12)

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let hs2: Hs2Warehouse
let duckdb: Warehouse

const run = (sql: string) => hs2.execute(sql, { signal, deadlineMs: 60_000 })
async function ask(warehouse: Warehouse, sql: string): Promise<Cell[][]> {
  const rows: Cell[][] = []
  for await (const { rowCount, values } of warehouse.query(sql, { signal, deadlineMs: 60_000, maxRows: 100_000 }))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  return rows
}

const addDays = (table: 'sensor' | 'anomaly', days: readonly number[]) =>
  run(addPartitionsStatement(hs2.dialect, tableName(hs2.dialect, own, own[table]), days))

/** Statements about the tables of the session's own database, as of another one. */
const inDatabase = (sql: string, name: string) =>
  sql.replace(/(IF NOT EXISTS|INSERT INTO) /, `$1 ${hs2.dialect.identifier(name)}.`)

beforeAll(async () => {
  hs2 = await createHs2Warehouse({ url, maxWaitMs: 60_000, openSessionWithinMs: 60_000 })
  duckdb = await createDuckdbWarehouse({ directory: folder })
  for (const name of [own.database, legacy.database]) await run(`CREATE DATABASE ${hs2.dialect.identifier(name!)}`)
  const days = await writeSampleRows(folder)
  for (const table of ['sensor', 'anomaly'] as const) {
    const name = tableName(hs2.dialect, own, own[table])
    await run(createTableStatement(hs2.dialect, name, historyTables[table], `file://${folder}`))
    await addDays(table, days[table])
  }
})
afterAll(async () => {
  for (const name of [own.database, legacy.database])
    await run(`DROP DATABASE IF EXISTS ${hs2.dialect.identifier(name!)} CASCADE`)
  await hs2.close()
  await duckdb.close()
  rmSync(folder, { recursive: true })
})

const sitesOf = (profile: TableProfile) => ({
  reference: { warehouse: duckdb, profile: tableProfiles.own },
  site: { warehouse: hs2, profile },
  close: async () => {},
})

queriesConformance('our own layout, as a HiveServer2 reads it', async () => sitesOf(own), { questions: 4 })

const openLegacy = async () => {
  const values = legacySampleValues(hs2.dialect)
  for (const sql of [
    ...legacyTableStatements(hs2.dialect),
    `INSERT INTO ${hs2.dialect.identifier('sensor')} VALUES ${values.sensor.join(', ')}`,
    `INSERT INTO ${hs2.dialect.identifier('anomaly')} VALUES ${values.anomaly.join(', ')}`,
  ])
    await run(inDatabase(sql, legacy.database!))
  return sitesOf(legacy)
}
queriesConformance('labelled texts of a HiveServer2', openLegacy, { questions: 2, isLabelled: true })

test('the next question sees a new file of a day that is known already', async () => {
  const question = { vehicle: 'new', sensors: ['s'], from: noon - 1_000, to: noon, limit: 10 }
  const writer = await openParquetWriter({ directory: folder })
  const refreshing = await createHs2Warehouse({
    url,
    maxWaitMs: 60_000,
    openSessionWithinMs: 60_000,
    refresh: { statements: (dialect) => refreshStatements(dialect, own), everyMs: 0 },
  })
  onTestFinished(() => refreshing.close())
  const readings = () => ask(refreshing, readingsSql(hs2.dialect, own, question))
  expect(await readings()).toEqual([])
  for (let count = 1; count <= 2; count++) {
    const file = { stream: 'new-0', first: count, last: count }
    await writer.write(historyTables.sensor, dayOf(noon), file, [
      ['new', 's', noon - count, count, String(count), null, null],
    ])
    await addDays('sensor', [dayOf(noon)])
    expect(await readings()).toHaveLength(count)
  }
  await writer.close()
})

test('the legacy tables answer as numbers, whatever the length of a time', async () => {
  const lengths: TableProfile = { ...tableProfiles.legacy, database }
  const { text } = hs2.dialect
  for (const sql of legacyTableStatements(hs2.dialect)) await run(inDatabase(sql, database))
  const rows = [
    ['999999999999', 's', "o'hara", 'label: 1.5'],
    ['1000000000000', 's', "o'hara", 'label: 0'],
    [String(noon), 's', "o'hara", 'a: b: 3'],
    [String(noon), 's', "o'hara", 'no label'],
    ['not a time', 's', "o'hara", 'label: 4'],
  ].map((row) => `(${row.map(text).join(', ')})`)
  await run(`INSERT INTO ${tableName(hs2.dialect, lengths, lengths.sensor)} VALUES ${rows.join(', ')}`)
  const question = { vehicle: "o'hara", sensors: ['s'], from: 0, to: noon, limit: 10 }
  const readings: unknown[] = []
  const answer = hs2.query(readingsSql(hs2.dialect, lengths, question), { signal, deadlineMs: 60_000, maxRows: 10 })
  for await (const batch of answer) readings.push(...readReadings(lengths, batch))
  expect(readings).toEqual([
    { sensor: 's', timestamp: 1_000_000_000_000, value: 0 },
    { sensor: 's', timestamp: 999_999_999_999, value: 1.5 },
  ])
  const cost = { vehicle: "o'hara", sensor: 's', from: { day: noon, week: 0, month: 0 }, to: noon, movingAbove: 0 }
  const [row] = await ask(hs2, speedUseSql(hs2.dialect, lengths, cost))
  expect(row?.slice(0, 8)).toEqual([0, 0, null, null, 2, 1, 0.75, 1.5])
})

test('Hive and Impala are asked in their own words', () => {
  const question = { vehicle: "o'hara", sensors: ['s'], from: 1, to: 2, limit: 3 }
  expect(readingsSql(dialects.impala, tableProfiles.legacy, question)).toBe(
    "SELECT `sensor` AS r_sensor, CAST(`timestamp` AS BIGINT) AS r_ts, `value` AS r_value FROM (SELECT * FROM `sensor` WHERE `uuid` = 'o\\'hara' " +
      "AND `sensor` IN ('s') AND CAST(`timestamp` AS BIGINT) BETWEEN 1 AND 2) t " +
      'ORDER BY r_ts DESC NULLS LAST, r_sensor ASC NULLS LAST, r_value ASC NULLS LAST LIMIT 3',
  )
})
