import { chmodSync, copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parseHs2Url } from './hs2-url.ts'
import { createHs2Warehouse, type Hs2Warehouse, type Hs2WarehouseOptions } from './warehouse-hs2.ts'
import type { Cell, QueryOptions } from './warehouse.ts'

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

const database = `warehouse_hs2_${process.pid}`
const [{ host, port }] = parseHs2Url(url).endpoints as [{ host: string; port: number }]
const urlOfDatabase = url.replace(`${host}:${port}/`, `${host}:${port}/${database}`)
const never = new AbortController().signal

let warehouse: Hs2Warehouse
let folder: string

const open = (options: Partial<Hs2WarehouseOptions> = {}) =>
  createHs2Warehouse({ url, maxWaitMs: 60_000, openSessionWithinMs: 60_000, ...options })
const query = (sql: string, options: Partial<QueryOptions> = {}, from = warehouse) =>
  from.query(sql, { signal: never, deadlineMs: 50_000, maxRows: 1_000_000, ...options })
const execute = (sql: string) => warehouse.execute(sql, { signal: never, deadlineMs: 50_000 })

async function rowsOf(sql: string, options: Partial<QueryOptions> = {}, from = warehouse): Promise<Cell[][]> {
  const rows: Cell[][] = []
  for await (const { rowCount, values } of query(sql, options, from))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  return rows
}

/** With all connections and cores at such queries, nothing would come back while one of them still ran. */
async function expectFreeEngine(): Promise<void> {
  const answers = await Promise.all(
    [1, 2, 3, 4].map((number) => rowsOf(`SELECT COUNT(*) + ${number} FROM range(1000)`)),
  )
  expect(answers).toEqual([[[1001]], [[1002]], [[1003]], [[1004]]])
}

beforeAll(async () => {
  warehouse = await open()
  folder = mkdtempSync(join(tmpdir(), 'warehouse-hs2-'))
  await execute(`DROP DATABASE IF EXISTS ${database} CASCADE`)
  await execute(`CREATE DATABASE ${database}`)
})
afterAll(async () => {
  await execute(`DROP DATABASE IF EXISTS ${database} CASCADE`)
  await warehouse.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('a real server', () => {
  it('tells its dialect', () => {
    expect(['spark', 'hive']).toContain(warehouse.dialect.name)
    expect(warehouse.failing()).toBeUndefined()
  })

  it('gives every type exactly', async () => {
    const values: [sql: string, value: Cell][] = [
      ['TRUE', true],
      ['CAST(-128 AS TINYINT)', -128],
      ['CAST(-32768 AS SMALLINT)', -32_768],
      ['CAST(2147483647 AS INT)', 2_147_483_647],
      ['CAST(1795516800000 AS BIGINT)', 1_795_516_800_000],
      ['CAST(9007199254740993 AS BIGINT)', 9_007_199_254_740_993n],
      ['CAST(-9223372036854775807 AS BIGINT)', -9_223_372_036_854_775_807n],
      ['CAST(1.5 AS FLOAT)', 1.5],
      ['CAST(0.1 AS DOUBLE)', 0.1],
      ['CAST(1.25 AS DECIMAL(10,4))', 1.25],
      ['CAST(12345678901234567890.125 AS DECIMAL(30,3))', '12345678901234567890.125'],
      ['CAST(12345678901234567890 AS DECIMAL(30,0))', 12_345_678_901_234_567_890n],
      [warehouse.dialect.text(`it's "5 \\ 3"\n€ 🚌`), `it's "5 \\ 3"\n€ 🚌`],
      ["''", ''],
      ["DATE '2026-11-24'", '2026-11-24'],
      ["CAST('2026-11-24 12:34:56.789' AS TIMESTAMP)", '2026-11-24 12:34:56.789'],
      ["CAST('az' AS BINARY)", '617a'],
    ]
    const rows = await rowsOf(`SELECT ${values.map(([sql], index) => `${sql} AS c${index}`).join(', ')}`)
    expect(rows).toEqual([values.map(([, value]) => value)])
  })

  it('gives null for every type, also between values', async () => {
    const types = [
      'BOOLEAN',
      'TINYINT',
      'SMALLINT',
      'INT',
      'BIGINT',
      'FLOAT',
      'DOUBLE',
      'STRING',
      'DATE',
      'DECIMAL(9,2)',
    ]
    const columns = types.map((type) => `CAST(IF(id % 3 = 1, 1, NULL) AS ${type === 'DATE' ? 'STRING' : type})`)
    const rows = await rowsOf(`SELECT ${columns.join(', ')} FROM range(20) ORDER BY id`)
    expect(rows).toHaveLength(20)
    for (const [id, row] of rows.entries()) {
      const isNull = id % 3 !== 1
      expect(row.every((cell) => (cell === null) === isNull)).toBe(true)
    }
  })

  it('keeps columns of the same name apart, and names as they are', async () => {
    const batches = await Array.fromAsync(query("SELECT 1 AS a, 'x' AS a, 2 AS `b.c`"))
    expect(batches).toEqual([{ columns: ['a', 'a', 'b.c'], rowCount: 1, values: [[1], ['x'], [2]] }])
  })

  it('gives nothing for an empty answer, and for a statement without one', async () => {
    await expect(rowsOf('SELECT id FROM range(10) WHERE id > 10')).resolves.toEqual([])
    await expect(execute(`CREATE TABLE ${database}.empty (a INT)`)).resolves.toBeUndefined()
  })

  it('gives 200,000 rows in order, in memory for a few thousand', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const liveBytes = () => {
      collect()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      return heapUsed + arrayBuffers
    }
    const before = liveBytes()
    let [rows, batches, mostBytes] = [0, 0, 0]
    const sql =
      "SELECT id, id / 2 AS half, CONCAT('sensor ', id % 10) AS sensor, CAST(id AS STRING) AS text FROM range(200000)"
    for await (const { rowCount, values } of query(sql)) {
      const [ids, , , texts] = values as [number[], number[], string[], string[]]
      expect(ids[0]).toBe(rows)
      expect(texts.at(-1)).toBe(String(rows + rowCount - 1))
      rows += rowCount
      if (batches++ % 5 === 0) mostBytes = Math.max(mostBytes, liveBytes() - before)
    }
    expect(rows).toBe(200_000)
    expect(batches).toBe(Math.ceil(200_000 / 4_096))
    expect(mostBytes).toBeLessThan(20 * 1024 * 1024)
  })

  it.each([
    ['SELECT * FROM no_such_table', 'no_table', '42P01', /no_such_table/],
    ['SELECT no_such_column FROM range(1)', 'statement', '42703', /no_such_column/],
    ['SELEC 1', 'statement', '42601', /SELEC/],
  ])('says what is wrong with %s', async (sql, kind, sqlState, message) => {
    await expect(rowsOf(sql)).rejects.toMatchObject({
      kind,
      sqlState,
      message: expect.stringMatching(message),
    })
    await expect(rowsOf(sql)).rejects.toMatchObject({ message: expect.not.stringContaining('\n') })
  })

  it('may take longer than the time in which it answers a question about its state', async () => {
    const imother = await open({ answerWithinMs: 2000 })
    await expect(rowsOf("SELECT java_method('java.lang.Thread', 'sleep', 4000L)", {}, imother)).resolves.toHaveLength(1)
    await imother.close()
  })

  it('answers many queries at once over few connections', async () => {
    const other = await open({ connectionsPerServer: 3 })
    const numbers = Array.from({ length: 12 }, (_, number) => number)
    const answers = await Promise.all(numbers.map((number) => rowsOf(`SELECT ${number} + 1`, {}, other)))
    expect(answers).toEqual(numbers.map((number) => [[number + 1]]))
    expect(other.usage().idle + other.usage().busy).toBeLessThanOrEqual(3)
    await other.close()
  })
})

describe('a query that would run for hours', () => {
  const forHours = 'SELECT COUNT(*) FROM range(1000000000000) WHERE id % 7 = 9'
  it('stops in the engine when its callers give up', async () => {
    const controller = new AbortController()
    const running = [1, 2, 3, 4].map(() => rowsOf(forHours, { signal: controller.signal }))
    setTimeout(() => controller.abort(), 2000)
    for (const result of await Promise.allSettled(running))
      expect(result).toMatchObject({ status: 'rejected', reason: { kind: 'cancelled' } })
    await expectFreeEngine()
  })

  it('stops in the engine at its deadline', async () => {
    const started = performance.now()
    await expect(rowsOf(forHours, { deadlineMs: 1500 })).rejects.toMatchObject({ kind: 'timeout' })
    expect(performance.now() - started).toBeLessThan(2500)
    await expectFreeEngine()
  })

  it('stops in the engine when nobody reads on', async () => {
    for await (const { rowCount } of query('SELECT id FROM range(100000)')) {
      expect(rowCount).toBeGreaterThan(0)
      break
    }
    await expectFreeEngine()
  })
})

describe('a session', () => {
  it('is in the database of the address, and has the settings', async () => {
    const sessionSettings = { 'spark.sql.session.timeZone': 'Asia/Tokyo' }
    const other = await open({ url: urlOfDatabase, sessionSettings })
    const rows = await rowsOf('SELECT current_database(), current_timezone()', {}, other)
    expect(rows).toEqual([[database, 'Asia/Tokyo']])
    await other.close()
  })

  // The engine forgets by itself which files it saw, after 5 seconds: a machine that is slower than that needs another try.
  it('sees files that came later only once it is refreshed', { retry: 3 }, async () => {
    const [table, source] = [mkdtempSync(join(folder, 'table-')), join(folder, 'source')]
    chmodSync(table, 0o777)
    await execute(`DROP TABLE IF EXISTS ${database}.files`)
    await execute(`CREATE TABLE ${database}.files (a BIGINT) USING parquet LOCATION 'file://${table}'`)
    await execute(`INSERT OVERWRITE DIRECTORY 'file://${source}' USING parquet SELECT id AS a FROM range(0, 3, 1, 1)`)
    const part = readdirSync(source).find((name) => name.endsWith('.parquet'))!
    const addFile = (name: string) => copyFileSync(join(source, part), join(table, name))
    const statements = [`REFRESH TABLE ${database}.files`, 'REFRESH TABLE no_such_table']
    const sessions = await Promise.all(
      [undefined, { statements, everyMs: 0 }, { statements, everyMs: 60_000 }].map((refresh) =>
        open({ refresh, connectionsPerServer: 1 }),
      ),
    )
    onTestFinished(async () => void (await Promise.all(sessions.map((session) => session.close()))))
    const count = async () => {
      const sql = `SELECT COUNT(*) FROM ${database}.files`
      const counts = await Promise.all(sessions.map((session) => rowsOf(sql, {}, session)))
      return counts.flat(2)
    }
    addFile('1.parquet')
    expect(await count()).toEqual([3, 3, 3])
    addFile('2.parquet')
    expect(await count()).toEqual([3, 6, 3])
  })

  it('is replaced by one that lists the files anew when those that it listed were merged', async () => {
    const [table, source] = [mkdtempSync(join(folder, 'merged-')), join(folder, 'merged-source')]
    chmodSync(table, 0o777)
    await execute(`CREATE TABLE ${database}.merged (a BIGINT) USING parquet LOCATION 'file://${table}'`)
    await execute(`INSERT OVERWRITE DIRECTORY 'file://${source}' USING parquet SELECT id AS a FROM range(0, 3, 1, 1)`)
    const part = readdirSync(source).find((name) => name.endsWith('.parquet'))!
    copyFileSync(join(source, part), join(table, '1.parquet'))
    const session = await open({ connectionsPerServer: 1 })
    onTestFinished(() => session.close())
    const sum = () => rowsOf(`SELECT SUM(a) FROM ${database}.merged`, {}, session)
    expect(await sum()).toEqual([[3]])
    copyFileSync(join(source, part), join(table, '1-2.parquet'))
    rmSync(join(table, '1.parquet'))
    expect(await sum()).toEqual([[3]])
  })
})
