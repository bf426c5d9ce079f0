import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import { dialects } from './dialects.ts'
import { dayOf, fileName, historyTables } from './history-layout.ts'
import { openParquetWriter, type ParquetRow } from './parquet-writer.ts'
import { readingsSql } from './queries.ts'
import { tableProfiles } from './table-profile.ts'
import { createDuckdbWarehouse, daysAsked, type DuckdbWarehouseOptions } from './warehouse-duckdb.ts'
import { WarehouseError, type Cell, type QueryOptions, type Warehouse } from './warehouse.ts'

vi.setConfig({ testTimeout: 30_000 })

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const never = new AbortController().signal
const { sensor: table } = historyTables

async function open(options: Partial<DuckdbWarehouseOptions> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'warehouse-duckdb-'))
  const warehouse = await createDuckdbWarehouse({ directory, ...options })
  const writer = await openParquetWriter({ directory })
  cleanups.push(
    () => rmSync(directory, { recursive: true }),
    () => writer.close(),
    () => warehouse.close(),
  )
  const write = (first: number, last: number, rows: readonly ParquetRow[] = [row()]) =>
    writer.write(table, 20261124, { stream: 'raw-0', first, last }, rows)
  const dayFolder = join(directory, 'sensor', 'day=20261124')
  return { directory, dayFolder, warehouse, writer, write }
}

const row = (value: number | null = 1, text = 'x', ts = 1_795_500_000_000): ParquetRow => [
  'v1',
  's',
  ts,
  value,
  text,
  null,
  null,
]

async function ask(warehouse: Warehouse, sql: string, options: Partial<QueryOptions> = {}): Promise<Cell[][]> {
  const rows: Cell[][] = []
  for await (const batch of warehouse.query(sql, { signal: never, deadlineMs: 10_000, maxRows: 1e6, ...options }))
    for (let index = 0; index < batch.rowCount; index++) rows.push(batch.values.map((column) => column[index]!))
  return rows
}
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )
const kind = (name: string, message?: RegExp) =>
  expect.objectContaining({
    name: 'WarehouseError',
    kind: name,
    ...(message && { message: expect.stringMatching(message) }),
  })
const endless = 'SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b'

test('a folder that is missing or empty is a table without rows', async () => {
  const { warehouse, directory } = await open()
  expect(await ask(warehouse, 'SELECT uuid, ts, day FROM sensor_history')).toEqual([])
  mkdirSync(join(directory, 'anomaly', 'day=20261124'), { recursive: true })
  expect(await ask(warehouse, 'SELECT count(*) FROM anomaly_history')).toEqual([[0]])
  const { warehouse: nowhere } = await open({ directory: join(directory, 'nowhere') })
  expect(await ask(nowhere, 'SELECT count(*) FROM sensor_history')).toEqual([[0]])
})

test('the next question sees what was written since the last one', async () => {
  const { warehouse, write } = await open()
  for (let count = 0; count < 3; count++) {
    expect(await ask(warehouse, 'SELECT count(*) FROM sensor_history WHERE day = 20261124')).toEqual([[count]])
    await write(count, count)
  }
})

test('a question names the days that it looks at, wherever it names its table; else all are looked at', () => {
  const [from, to] = [Date.UTC(2026, 10, 24), Date.UTC(2026, 10, 25)]
  const question = { vehicle: "o'hara", sensors: ['s'], from, to, limit: 9 }
  const sql = readingsSql(dialects.duckdb, tableProfiles.own, question)
  expect(daysAsked(sql, table)).toEqual({ from: 20261124, to: 20261125 })
  expect(daysAsked(sql, historyTables.anomaly)).toBeUndefined()
  expect(daysAsked(`${sql} UNION ALL ${sql.replaceAll('20261125', '20261130')}`, table)?.to).toBe(20261130)
  expect(daysAsked('SELECT 1 FROM "sensor_history"', table)).toBeUndefined()
  expect(
    daysAsked(`SELECT 1 FROM "sensor_history" WHERE uuid = ' AND "day" BETWEEN 20261124 AND 20261124)'`, table),
  ).toBe(undefined)
  expect(daysAsked(`${sql} UNION ALL SELECT 1, 2, 3 FROM "sensor_history"`, table)).toBeUndefined()
})

test('a question about a day finds it among others, and what is written to others later', async () => {
  const { warehouse, writer } = await open()
  const noon = Date.UTC(2026, 10, 24, 12)
  for (const [index, ts] of [noon - 86_400_000, noon, noon + 86_400_000].entries())
    await writer.write(table, dayOf(ts), { stream: 'raw-0', first: index, last: index }, [row(index, 'x', ts)])
  const values = async (from: number, to: number) => {
    const sql = readingsSql(dialects.duckdb, tableProfiles.own, { vehicle: 'v1', sensors: ['s'], from, to, limit: 9 })
    return (await ask(warehouse, sql)).map(([, , value]) => value)
  }
  expect(await values(noon, noon + 1)).toEqual([1])
  expect(await values(noon - 86_400_000, noon)).toEqual([1, 0])
  expect(await values(0, noon * 2)).toEqual([2, 1, 0])
})

test('values come back exactly', async () => {
  const { warehouse, write } = await open()
  const numbers = [0.1, -0, 5e-324, Number.MAX_VALUE, 1 / 3, 30.47216, null]
  const texts = ['', 'a\0b', "it's", '\\n', '😀', '30.472160', 'D']
  await write(
    0,
    6,
    numbers.map((value, index) => row(value, texts[index], index)),
  )
  const rows = await ask(warehouse, 'SELECT value, text, ts FROM sensor_history ORDER BY ts')
  expect(rows).toEqual(numbers.map((value, index) => [value, texts[index], index]))
  expect(Object.is(rows[1]?.[0], -0)).toBe(true)
})

test('integers beyond 2^53 come as bigint, all others as number', async () => {
  const { warehouse } = await open()
  expect(
    await ask(warehouse, 'SELECT 9007199254740991, 9007199254740993, -9007199254740993, 7::HUGEINT, true, NULL'),
  ).toEqual([[9007199254740991, 9007199254740993n, -9007199254740993n, 7, true, null]])
})

test('long answers come in batches, in order', async () => {
  const { warehouse } = await open()
  const rows = await ask(warehouse, 'SELECT range FROM range(50000) ORDER BY range DESC')
  expect(rows.map(([value]) => value)).toEqual(Array.from({ length: 50_000 }, (_, index) => 49_999 - index))
})

test('a leftover of a merge does not count twice', async () => {
  const { warehouse, write } = await open()
  await write(0, 4)
  await write(5, 9)
  await write(0, 9, [row(), row()])
  expect(await ask(warehouse, 'SELECT count(*) FROM sensor_history')).toEqual([[2]])
})

test('merged files are one with the same rows', async () => {
  const { warehouse, writer, write, dayFolder } = await open()
  const files = [0, 1, 2].map((index) => ({ stream: 'raw-0', first: index * 10, last: index * 10 + 9 }))
  for (const [index, { first, last }] of files.entries()) await write(first, last, [row(index), row(-index)])
  const before = await ask(warehouse, 'SELECT * FROM sensor_history ORDER BY ALL')
  const merged = await writer.merge(table, 20261124, files)
  expect(fileName(merged)).toBe('raw-0-0-29.parquet')
  expect(await ask(warehouse, 'SELECT * FROM sensor_history ORDER BY ALL')).toEqual(before)
  expect(readFileSync(join(dayFolder, 'raw-0-0-29.parquet')).subarray(0, 4).toString()).toBe('PAR1')
  expect(() => readFileSync(join(dayFolder, 'raw-0-0-9.parquet'))).toThrow('ENOENT')
})

test('questions stay whole while files are merged under them', async () => {
  const { warehouse, writer, write } = await open()
  const length = 30
  for (let index = 0; index < length; index++) await write(index, index)
  const counts: unknown[] = []
  let merged = { stream: 'raw-0', first: 0, last: 0 }
  for (let index = 1; index < length; index++) {
    const merging = writer.merge(table, 20261124, [merged, { stream: 'raw-0', first: index, last: index }])
    for (let question = 0; question < 3; question++)
      counts.push(await ask(warehouse, 'SELECT count(*) FROM sensor_history'))
    merged = await merging
  }
  expect(counts).toEqual(counts.map(() => [[length]]))
})

test.each([
  ['garbage', () => Buffer.from('PAR1 this is no parquet PAR1')],
  ['nothing', () => Buffer.alloc(0)],
  ['a half file', (good: Buffer) => good.subarray(0, good.length >> 1)],
  [
    'a file with broken pages',
    (good: Buffer) => Buffer.concat([good.subarray(0, 4), Buffer.alloc(400, 0xa5), good.subarray(404)]),
  ],
])('%s is an error of the statement, and only that', async (_, damage) => {
  const { warehouse, write, dayFolder } = await open()
  await write(
    0,
    999,
    Array.from({ length: 1_000 }, (__, index) => row(Math.sin(index), `${index}`, index)),
  )
  const good = readFileSync(join(dayFolder, 'raw-0-0-999.parquet'))
  writeFileSync(join(dayFolder, 'raw-0-1000-1999.parquet'), damage(good))
  expect(await failure(ask(warehouse, 'SELECT uuid, ts, value, text FROM sensor_history'))).toEqual(kind('statement'))
  rmSync(join(dayFolder, 'raw-0-1000-1999.parquet'))
  expect(await ask(warehouse, 'SELECT count(*) FROM sensor_history')).toEqual([[1_000]])
})

test('flipped bytes in a file never cost more than the question, and a mended file is read at once', async () => {
  const { warehouse, write, dayFolder } = await open()
  await write(
    0,
    299,
    Array.from({ length: 300 }, (_, index) => row(index / 7, `${index}`, index)),
  )
  const path = join(dayFolder, 'raw-0-0-299.parquet')
  const good = readFileSync(path)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1 }), async (flips) => {
      const bad = Buffer.from(good)
      for (const [at, byte] of flips) bad[at] = byte
      writeFileSync(path, bad)
      const answer = await failure(ask(warehouse, 'SELECT * FROM sensor_history'))
      const outcome = answer instanceof WarehouseError ? answer.kind : answer
      expect(['statement', 'out_of_memory', 'no failure']).toContain(outcome)
      writeFileSync(path, good)
      expect(await ask(warehouse, 'SELECT count(*) FROM sensor_history')).toEqual([[300]])
    }),
  )
})

test('more rows than allowed fail the question', async () => {
  const { warehouse } = await open()
  expect(await failure(ask(warehouse, 'SELECT * FROM range(11)', { maxRows: 10 }))).toEqual(kind('too_large'))
  expect(await ask(warehouse, 'SELECT * FROM range(10)', { maxRows: 10 })).toHaveLength(10)
})

test('the deadline ends a question, and the connection is free again', async () => {
  const { warehouse } = await open({ connections: 1 })
  const startedAt = performance.now()
  expect(await failure(ask(warehouse, endless, { deadlineMs: 100 }))).toEqual(kind('timeout'))
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  expect(await ask(warehouse, 'SELECT 1')).toEqual([[1]])
})

test('an abort cancels a question, at any moment', async () => {
  const { warehouse } = await open({ connections: 1 })
  for (const delayMs of [0, 1, 5, 50]) {
    const caller = new AbortController()
    const answer = failure(ask(warehouse, endless, { signal: caller.signal }))
    setTimeout(() => caller.abort(), delayMs)
    expect(await answer).toEqual(kind('cancelled'))
  }
  expect(await failure(ask(warehouse, 'SELECT 1', { signal: AbortSignal.abort() }))).toEqual(kind('cancelled'))
  expect(await ask(warehouse, 'SELECT 1')).toEqual([[1]])
})

test('too many questions at once are turned away at once', async () => {
  const { warehouse } = await open({ connections: 1, maxWaiting: 1, maxWaitMs: 60_000 })
  const caller = new AbortController()
  const busy = [1, 2].map(() => failure(ask(warehouse, endless, { signal: caller.signal })))
  expect(await failure(ask(warehouse, 'SELECT 1'))).toEqual(kind('overloaded'))
  caller.abort()
  expect(await Promise.all(busy)).toEqual([kind('cancelled'), kind('cancelled')])
})

test('a statement reaches nothing outside of the folder, and loads nothing', async () => {
  const { warehouse, directory } = await open()
  const secret = `${directory}-secret.csv`
  writeFileSync(secret, 'a\n1')
  cleanups.push(() => rmSync(secret))
  for (const sql of [`SELECT * FROM read_csv('${secret}')`, `SELECT * FROM glob('${directory}/../*')`])
    expect(await failure(ask(warehouse, sql))).toEqual(kind('statement', /Permission/))
  const options = { signal: never, deadlineMs: 5_000 }
  for (const sql of [
    `COPY (SELECT 1) TO '${secret}'`,
    'INSTALL httpfs',
    'LOAD httpfs',
    'SET enable_external_access = true',
  ])
    expect(await failure(warehouse.execute(sql, options))).toEqual(kind('statement'))
})

test('an answer that cannot fit into memory fails, and only that', async () => {
  const { warehouse } = await open({ memoryLimitMb: 32 })
  expect(
    await failure(
      ask(warehouse, 'SELECT range, hash(range)::VARCHAR h FROM range(3000000) ORDER BY h', { maxRows: 1e7 }),
    ),
  ).toEqual(kind('out_of_memory', /Out of Memory/))
  expect(await ask(warehouse, 'SELECT 1')).toEqual([[1]])
})

test('closing ends what runs and what waits', async () => {
  const { warehouse } = await open({ connections: 1 })
  const asked = [1, 2].map(() => failure(ask(warehouse, endless)))
  expect(warehouse.failing()).toBeUndefined()
  await warehouse.close()
  expect(await Promise.all(asked)).toEqual([kind('unavailable'), kind('unavailable')])
  expect(await failure(ask(warehouse, 'SELECT 1'))).toEqual(kind('unavailable'))
  expect(warehouse.failing()).toBe('the warehouse is closed')
})

test('an answer can be read to its end after the connection went on', async () => {
  const { warehouse } = await open({ connections: 1 })
  const answer = warehouse.query('SELECT range FROM range(10000)', { signal: never, deadlineMs: 10_000, maxRows: 1e6 })
  let rows = 0
  for await (const { rowCount } of answer) {
    rows += rowCount
    expect(await ask(warehouse, 'SELECT 1')).toEqual([[1]])
  }
  expect(rows).toBe(10_000)
})
