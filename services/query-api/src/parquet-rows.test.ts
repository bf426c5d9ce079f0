import { rowGroupRows } from '@flasktoria/warehouse/parquet-encoder'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { WarehouseError, type Cell, type Warehouse } from '@flasktoria/warehouse/warehouse'
import * as fc from 'fast-check'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parquetWriter } from './parquet-rows.ts'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { anomaly, createTestApp, reading, testNow } from './test-app.ts'

const directory = mkdtempSync(join(tmpdir(), 'parquet-rows-'))
const path = join(directory, 'answer.parquet')
const duckdb = await createDuckdbWarehouse({ directory })
afterAll(async () => {
  await duckdb.close()
  rmSync(directory, { recursive: true })
})

async function query(sql: string): Promise<Record<string, Cell>[]> {
  const rows: Record<string, Cell>[] = []
  const options = { signal: new AbortController().signal, deadlineMs: 30_000, maxRows: 1e6 }
  for await (const { columns, rowCount, values } of duckdb.query(sql.replace('FILE', `'${path}'`), options))
    for (let row = 0; row < rowCount; row++)
      rows.push(Object.fromEntries(columns.map((name, index) => [name, values[index]![row]!])))
  return rows
}
const metadataOf = async (): Promise<object> => {
  const [entry] = await query('SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata(FILE)')
  expect(entry!['key']).toBe('flasktoria')
  return JSON.parse(String(entry!['value']))
}

const columns = { id: 'text', at: 'bigint', type: 'integer', value: 'double' } as const
const end = { truncated: false, next: null, coverage: { history: null, recent: null, mayLack: [], cursor: null } }

async function write(batches: readonly (readonly (readonly Cell[])[])[]): Promise<void> {
  const writer = parquetWriter(columns, { vehicle: 'é' })
  const pieces: (string | Uint8Array)[] = [writer.begin]
  for (const rows of batches) {
    const values = Object.keys(columns).map((_, index) => rows.map((row) => row[index]!))
    pieces.push(await writer.rows({ columns: Object.keys(columns), rowCount: rows.length, values }))
  }
  pieces.push(await writer.end(end))
  writeFileSync(path, Buffer.concat(pieces.map((piece) => Buffer.from(piece))))
}

test('rows come back as they were, each column with its type, however they came in batches', async () => {
  const row = fc.tuple(
    fc.option(fc.constantFrom('', 'a', 'é', '\u{10348}'), { nil: null }),
    fc.maxSafeInteger(),
    fc.option(fc.integer(), { nil: null }),
    fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: null }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(row, { maxLength: 9 }), { maxLength: 4 }), async (batches) => {
      await write(batches)
      const rows = await query('SELECT * FROM FILE')
      const expected = batches.flat().map((cells) => cells.map((cell) => (cell === 0 ? 0 : cell)))
      expect(rows.map((cells) => Object.values(cells))).toEqual(expected)
      expect(await metadataOf()).toEqual({ vehicle: 'é', ...end })
    }),
    { numRuns: 50, examples: [[[[['a', 1, 2, -0]]]]] },
  )
  const types = await query('DESCRIBE FROM FILE')
  expect(types.map((column) => column['column_type'])).toEqual(['VARCHAR', 'BIGINT', 'INTEGER', 'DOUBLE'])
})

test('a row group is sent when it is full, whatever the size of the batches', async () => {
  const rows = Array.from({ length: 2 * rowGroupRows + 5 }, (_, index): Cell[] => ['v', index, index % 7, index / 8])
  await write([rows.slice(0, 7), rows.slice(7, rowGroupRows), rows.slice(rowGroupRows)])
  const groups = await query(
    'SELECT DISTINCT row_group_id, row_group_num_rows AS rows FROM parquet_metadata(FILE) ORDER BY row_group_id',
  )
  expect(groups.map((group) => group['rows'])).toEqual([rowGroupRows, rowGroupRows, 5])
  const [sums] = await query('SELECT count(*) AS rows, sum("at")::DOUBLE AS at, sum(value) AS value FROM FILE')
  const total = (rows.length * (rows.length - 1)) / 2
  expect(sums).toEqual({ rows: rows.length, at: total, value: total / 8 })
})

async function ask(app: ReturnType<typeof createTestApp>['app'], url: string): Promise<Uint8Array> {
  const response = await app.request(url, { headers: { Accept: 'application/vnd.apache.parquet' } })
  expect(response.headers.get('Content-Type')).toBe('application/vnd.apache.parquet')
  return new Uint8Array(await response.arrayBuffer())
}

test.for([
  `/api/v1/vehicles/v/history?sensors=a,b&from=0`,
  `/api/v1/vehicles/v/history?sensors=a,b&from=0&limit=2`,
  `/api/v1/vehicles/v/history?sensors=a,b&from=${testNow - 600_000}&agg=min,avg,count,last&interval=60000&fill=null`,
  `/api/v1/vehicles/v/history?sensors=a,b&from=0&maxPoints=4`,
  '/api/v1/anomalies?from=0',
  '/api/v1/anomalies/counts?from=0&by=type',
  '/api/v1/anomalies/counts?from=0&by=severity',
  '/api/v1/anomalies/counts?from=0&by=hour',
  '/api/v1/anomalies?from=0&vehicle=nobody',
])('Parquet holds the rows of NDJSON, and says how the answer ends: %s', async (url) => {
  const { app, hear } = createTestApp()
  hear(
    ...Array.from({ length: 9 }, (_, index) => reading('v', index % 2 ? 'a' : 'b', testNow - index * 99, `${index}.5`)),
    anomaly('v', 0, testNow - 20),
    anomaly('v', 99, testNow - 30),
  )
  const ndjson = await app.request(`${url}&format=ndjson`)
  const lines = (await ndjson.text()).trimEnd().split('\n')
  const json = (await (await app.request(url)).json()) as { rows: unknown[] }
  writeFileSync(path, await ask(app, url))
  expect(await query('SELECT * FROM FILE')).toEqual(lines.slice(0, -1).map((line) => JSON.parse(line) as unknown))
  const { rows: _, ...said } = json
  expect(await metadataOf()).toEqual(said)
})

test('a file that broke off cannot be read', async () => {
  const breaking: Warehouse = {
    ...createScriptedWarehouse({}).warehouse,
    async *query() {
      const rows = rowGroupRows + 1
      yield {
        columns: [],
        rowCount: rows,
        values: [Array.from({ length: rows }, (_, at) => at), Array(rows).fill('a'), Array(rows).fill(1)],
      }
      throw new WarehouseError('unavailable', 'the engine died')
    },
  }
  const { app } = createTestApp({ warehouse: breaking, limits: { rows: 1e6 } })
  const response = await app.request('/api/v1/vehicles/v/history?sensors=a&from=0&format=parquet')
  const pieces: Uint8Array[] = []
  const read = async () => {
    for await (const piece of response.body!) pieces.push(piece)
  }
  await expect(read()).rejects.toThrow('the engine died')
  const bytes = Buffer.concat(pieces)
  expect(bytes.length).toBeGreaterThan(1_000)
  writeFileSync(path, bytes)
  await expect(query('SELECT * FROM FILE')).rejects.toThrow('No magic bytes found at end of file')
})
