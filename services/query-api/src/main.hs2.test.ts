import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { createHs2Warehouse, type Hs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configSchema, optionNames } from './config.ts'
import { start, type QueryApi } from './main.ts'

const hs2Url = process.env['HS2_URL']
if (!hs2Url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

const database = `query_api_${process.pid}_${Date.now().toString(36)}`
const url = new URL(hs2Url)
url.pathname = `/${database}`

const environment = {
  PORT: '0',
  LOG_LEVEL: 'silent',
  WAREHOUSE: 'hs2',
  HS2_URL: url.href,
  TABLE_PROFILE: 'legacy',
  QUERY_DEADLINE_MS: '120000',
  HS2_CONNECTIONS: '1',
}

let warehouse: Hs2Warehouse
let service: QueryApi

const run = (sql: string) => warehouse.execute(sql, { signal: AbortSignal.timeout(120_000), deadlineMs: 120_000 })

beforeAll(async () => {
  warehouse = await createHs2Warehouse({ url: hs2Url, maxWaitMs: 60_000, openSessionWithinMs: 60_000 })
  await run(`CREATE DATABASE ${database}`)
  service = await start(readConfig(configSchema, environment, optionNames), { reader: createMemoryLog() })
})
afterAll(async () => {
  await service?.[Symbol.asyncDispose]()
  await run(`DROP DATABASE IF EXISTS ${database} CASCADE`)
  await warehouse.close()
})

async function get(path: string) {
  const response = await fetch(`${service.url}${path}`)
  return [response.status, await response.json()] as const
}
const warehouseHealth = async () => ((await get('/readyz'))[1] as { checks: object }).checks

test('history is not available before its tables are there, and is as soon as they are', async () => {
  const readings = '/api/sensordata/bus?sensor_ids=speed,gear&start_ts=1490072404'
  const unavailable = { code: 503, message: 'The history is not available just now.', fields: '' }
  expect(await get(readings)).toEqual([503, unavailable])
  expect(await warehouseHealth()).toMatchObject({ warehouse: 'there was no table sensor when last asked' })

  await run(
    `CREATE TABLE ${database}.sensor (\`timestamp\` STRING, sensor STRING, uuid STRING, value STRING) USING parquet`,
  )
  await run(`CREATE TABLE ${database}.anomaly (\`timestamp\` BIGINT, detection_time STRING, confirmation_time STRING,
    sensor STRING, uuid STRING, anomaly_id INT) USING parquet`)
  await run(`INSERT INTO ${database}.sensor VALUES
    ('1490072404000', 'speed', 'bus', 'Vehicle Speed: 27.36'),
    ('149007240400', 'speed', 'bus', 'Vehicle Speed: 12'),
    ('1490072404', 'speed', 'bus', 'Vehicle Speed: -1e-7'),
    ('1490072403', 'speed', 'bus', 'too early: 1'),
    ('not a time', 'speed', 'bus', 'Vehicle Speed: 1'),
    ('1490072404001', 'speed', 'bus', 'no label'),
    ('1490072404002', 'gear', 'bus', 'Gear: drive'),
    ('1490072404003', 'speed', "o'bus", "it's: 5")`)
  expect(await get(readings)).toEqual([
    200,
    {
      speed: [
        { timestamp: 1_490_072_404_000, value: 27.36 },
        { timestamp: 149_007_240_400, value: 12 },
        { timestamp: 1_490_072_404, value: -1e-7 },
      ],
      gear: [],
    },
  ])
  expect(await warehouseHealth()).toMatchObject({ warehouse: 'ok' })
})

test('below /api/v1 labelled text is read as what it holds, one by one and in sums', { timeout: 180_000 }, async () => {
  const rowsOf = async (query: string) => {
    const [status, body] = await get(`/api/v1/vehicles/bus/history?sensors=speed,gear&from=1490072404&${query}`)
    return [status, (body as { rows: object[] }).rows]
  }
  const readings = [
    { sensor: 'speed', timestamp: 1_490_072_404, value: -1e-7 },
    { sensor: 'speed', timestamp: 149_007_240_400, value: 12 },
    { sensor: 'speed', timestamp: 1_490_072_404_000, value: 27.36 },
  ]
  expect(await rowsOf('')).toEqual([200, readings])
  expect(await rowsOf('limit=2')).toEqual([200, readings.slice(0, 2)])
  expect(await rowsOf('maxPoints=10')).toEqual([200, readings])
  expect(await rowsOf('agg=min,count,last&interval=31536000000')).toEqual([
    200,
    [
      { sensor: 'speed', timestamp: 0, min: -1e-7, count: 1, last: -1e-7 },
      { sensor: 'speed', timestamp: 4 * 31_536_000_000, min: 12, count: 1, last: 12 },
      { sensor: 'speed', timestamp: 47 * 31_536_000_000, min: 27.36, count: 1, last: 27.36 },
    ],
  ])
})

test('many questions at once wait for their turn, and each is answered', { timeout: 180_000 }, async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, (_, index) => get(`/api/cost/bus-${index}`)))
  expect(answers.map(([status]) => status)).toEqual(Array<number>(6).fill(200))
})

test('a table whose columns are of other types is said, column by column', { timeout: 180_000 }, async () => {
  await run(`CREATE DATABASE ${database}_wrong`)
  await run(`CREATE TABLE ${database}_wrong.sensor (\`timestamp\` BIGINT, sensor STRING, uuid STRING, value DOUBLE)`)
  await run(`CREATE TABLE ${database}_wrong.anomaly LIKE ${database}.anomaly`)
  const elsewhere = { ...environment, HS2_URL: url.href.replace(database, `${database}_wrong`) }
  await using other = await start(readConfig(configSchema, elsewhere, optionNames), { reader: createMemoryLog() })
  const checks = async () => (await (await fetch(`${other.url}/readyz`)).json()) as { status: string; checks: object }
  await expect.poll(checks, { timeout: 60_000 }).toMatchObject({
    checks: {
      warehouse:
        'table sensor: column timestamp is BIGINT, and should be a text; table sensor: column value is DOUBLE, and should be a text',
    },
  })
  expect((await fetch(`${other.url}/readyz`)).status).toBe((await fetch(`${service.url}/readyz`)).status)
  await run(`DROP DATABASE ${database}_wrong CASCADE`)
})
