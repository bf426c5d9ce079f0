import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dialects } from './dialects.ts'
import {
  addPartitionsStatement,
  createTableStatement,
  dayOf,
  historyTables,
  legacyTableStatements,
  type HistoryTableName,
} from './history-layout.ts'
import { openParquetWriter, type ParquetRow } from './parquet-writer.ts'
import {
  anomaliesSql,
  anomalyCountsSql,
  readReadings,
  readSpeedUse,
  readingsSql,
  speedUseSql,
  type CostQuestion,
} from './queries.ts'
import { refreshStatements, tableName, tableProfiles, type TableProfile } from './table-profile.ts'
import { createDuckdbWarehouse } from './warehouse-duckdb.ts'
import { createHs2Warehouse, type Hs2Warehouse } from './warehouse-hs2.ts'
import type { Cell, Warehouse } from './warehouse.ts'

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

const database = `queries_${process.pid}_${Date.now().toString(36)}`
const own: TableProfile = { ...tableProfiles.own, database }
const folder = mkdtempSync(join(tmpdir(), 'queries-hs2-'))
const signal = AbortSignal.timeout(300_000)
const noon = Date.UTC(2026, 10, 24, 12)
const dayMs = 86_400_000
const vehicles = ['v1', 'v2', "o'hara", '${env:HOME}', '\\', 'ü😀']
const sensors = ['pid_13_mode_1', 'pid_47_mode_1', 'x%_y']

let hs2: Hs2Warehouse
let duckdb: Warehouse

/** The same question to both engines; the whole answer of each, to be compared to the last digit. */
async function ask(warehouse: Warehouse, sql: string): Promise<Cell[][]> {
  const rows: Cell[][] = []
  for await (const { rowCount, values } of warehouse.query(sql, { signal, deadlineMs: 60_000, maxRows: 100_000 }))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  return rows
}
const run = (sql: string) => hs2.execute(sql, { signal, deadlineMs: 60_000 })
const bytes = (rows: Cell[][]) => rows.map((row) => JSON.stringify(row)).join('\n')

async function bothAnswer(build: (dialect: Warehouse['dialect'], profile: TableProfile) => string): Promise<Cell[][]> {
  const [theirs, ours] = [
    await ask(hs2, build(hs2.dialect, own)),
    await ask(duckdb, build(duckdb.dialect, tableProfiles.own)),
  ]
  expect(bytes(theirs)).toBe(bytes(ours))
  return ours
}

let seed = 7
const random = (below: number) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
  return (seed >>> 8) % below
}
const pick = <T>(from: readonly T[]): T => from[random(from.length)]!

function sensorRow(): [number, ParquetRow] {
  const ts = noon - random(40) * dayMs - random(100) * 60_000
  const value = pick([null, 0, 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, random(1e6) / 7, -random(100)])
  return [dayOf(ts), [pick(vehicles), pick(sensors), ts, value, value === null ? 'D' : String(value), null, null]]
}
function anomalyRow(): [number, ParquetRow] {
  const ts = noon - random(40) * dayMs - random(3) * 3_600_000
  return [dayOf(ts), [pick(vehicles), 's', ts, pick(['', 'a', 'é']), 'c', random(7), pick(['', "it's"]), 'x']]
}

let nextOffset = 0
async function store(table: HistoryTableName, rows: readonly [number, ParquetRow][]) {
  const writer = await openParquetWriter({ directory: folder })
  const byDay = Map.groupBy(rows, ([day]) => day)
  for (const [day, group] of byDay) {
    const file = { stream: 'raw-0', first: nextOffset, last: nextOffset }
    nextOffset += 1
    await writer.write(
      historyTables[table],
      day,
      file,
      group.map(([, cells]) => cells),
    )
  }
  await writer.close()
  await run(addPartitionsStatement(hs2.dialect, tableName(hs2.dialect, own, own[table]), [...byDay.keys()]))
}

beforeAll(async () => {
  hs2 = await createHs2Warehouse({
    url,
    maxWaitMs: 60_000,
    openSessionWithinMs: 60_000,
    refresh: { statements: (dialect) => refreshStatements(dialect, own), everyMs: 0 },
  })
  duckdb = await createDuckdbWarehouse({ directory: folder })
  await run(`CREATE DATABASE ${hs2.dialect.identifier(database)}`)
  for (const table of ['sensor', 'anomaly'] as const)
    await run(
      createTableStatement(
        hs2.dialect,
        tableName(hs2.dialect, own, own[table]),
        historyTables[table],
        `file://${folder}`,
      ),
    )
  await store('sensor', Array.from({ length: 6_000 }, sensorRow))
  await store('anomaly', Array.from({ length: 400 }, anomalyRow))
})
afterAll(async () => {
  await run(`DROP DATABASE IF EXISTS ${hs2.dialect.identifier(database)} CASCADE`)
  await hs2.close()
  await duckdb.close()
  rmSync(folder, { recursive: true })
})

const period = fc
  .tuple(fc.nat(45 * 1_440), fc.nat(45 * 1_440))
  .map(([a, b]) => ({ from: noon - Math.max(a, b) * 60_000, to: noon - Math.min(a, b) * 60_000 }))

test('both engines give the same readings, to the last digit and in the same order', async () => {
  const question = fc.record({
    vehicle: fc.constantFrom(...vehicles, 'nobody'),
    sensors: fc.uniqueArray(fc.constantFrom(...sensors), { minLength: 1 }),
    period,
    limit: fc.integer({ min: 1, max: 1_500 }),
  })
  let rows = 0
  await fc.assert(
    fc.asyncProperty(question, async ({ period: { from, to }, ...asked }) => {
      rows += (await bothAnswer((dialect, profile) => readingsSql(dialect, profile, { ...asked, from, to }))).length
    }),
    { numRuns: 10 },
  )
  expect(rows).toBeGreaterThan(300)
})

test('both engines give the same anomalies and count them the same', async () => {
  const from = { day: noon - dayMs, week: noon - 7 * dayMs, month: noon - 30 * dayMs }
  await fc.assert(
    fc.asyncProperty(period, fc.option(fc.constantFrom(...vehicles), { nil: undefined }), async (range, vehicle) => {
      await bothAnswer((dialect, profile) => anomaliesSql(dialect, profile, { ...range, vehicle, limit: 300 }))
    }),
    { numRuns: 4 },
  )
  for (const vehicle of vehicles) {
    const counts = await bothAnswer((dialect, profile) =>
      anomalyCountsSql(dialect, profile, { vehicle, from, to: noon }),
    )
    expect(counts.length).toBeGreaterThan(0)
  }
})

test('both engines count the use of a vehicle the same', async () => {
  const question: CostQuestion & { sensor: string; movingAbove: number } = {
    vehicle: "o'hara",
    sensor: 'x%_y',
    from: { day: noon - dayMs, week: noon - 7 * dayMs, month: noon - 30 * dayMs },
    to: noon,
    movingAbove: 0,
  }
  const use = async (warehouse: Warehouse, profile: TableProfile) => {
    const answer = warehouse.query(speedUseSql(warehouse.dialect, profile, question), {
      signal,
      deadlineMs: 60_000,
      maxRows: 1,
    })
    for await (const batch of answer) return readSpeedUse(batch)
    throw new Error('no row')
  }
  const [theirs, ours] = [await use(hs2, own), await use(duckdb, tableProfiles.own)]
  for (const name of ['day', 'week', 'month'] as const) {
    expect([theirs[name].readings, theirs[name].moving]).toEqual([ours[name].readings, ours[name].moving])
    // Engines add up in different orders.
    expect(theirs[name].meanMoving.toPrecision(9)).toBe(ours[name].meanMoving.toPrecision(9))
  }
  expect(ours.month.readings).toBeGreaterThan(0)
})

test('the next question sees a new file of a day that is known already', async () => {
  const question = { vehicle: 'new', sensors: ['s'], from: noon - 1_000, to: noon, limit: 10 }
  const ask2 = () => bothAnswer((dialect, profile) => readingsSql(dialect, profile, question))
  expect(await ask2()).toEqual([])
  for (let count = 1; count <= 2; count++) {
    await store('sensor', [[dayOf(noon), ['new', 's', noon - count, count, String(count), null, null]]])
    expect(await ask2()).toHaveLength(count)
  }
})

test('the legacy tables answer as numbers, whatever the length of a time', async () => {
  const legacy: TableProfile = { ...tableProfiles.legacy, database }
  const { text, identifier } = hs2.dialect
  for (const sql of legacyTableStatements(hs2.dialect))
    await run(sql.replace(/(IF NOT EXISTS) /, `$1 ${identifier(database)}.`))
  const rows = [
    ['999999999999', 's', "o'hara", 'label: 1.5'],
    ['1000000000000', 's', "o'hara", 'label: 0'],
    [String(noon), 's', "o'hara", 'a: b: 3'],
    [String(noon), 's', "o'hara", 'no label'],
    ['not a time', 's', "o'hara", 'label: 4'],
  ].map((row) => `(${row.map(text).join(', ')})`)
  await run(`INSERT INTO ${tableName(hs2.dialect, legacy, legacy.sensor)} VALUES ${rows.join(', ')}`)
  const question = { vehicle: "o'hara", sensors: ['s'], from: 0, to: noon, limit: 10 }
  const readings: unknown[] = []
  const answer = hs2.query(readingsSql(hs2.dialect, legacy, question), { signal, deadlineMs: 60_000, maxRows: 10 })
  for await (const batch of answer) readings.push(...readReadings(legacy, batch))
  expect(readings).toEqual([
    { sensor: 's', timestamp: 1_000_000_000_000, value: 0 },
    { sensor: 's', timestamp: 999_999_999_999, value: 1.5 },
  ])
  const cost = { vehicle: "o'hara", sensor: 's', from: { day: noon, week: 0, month: 0 }, to: noon, movingAbove: 0 }
  const [row] = await ask(hs2, speedUseSql(hs2.dialect, legacy, cost))
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
