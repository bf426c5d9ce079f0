import { dayOf, historyTables } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter } from '@flasktoria/warehouse/parquet-writer'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { anomaly, ask, createTestApp, errorOf, reading, testNow } from './test-app.ts'

// The answers over real Parquet files, in the layout of the history writer, read by DuckDB.
const hour = 3_600_000
const day = 24 * hour
const speed = 'pid_13_mode_1'
const hostile = `o'brien "\\" __proto__ 🚚`

type Stored = [vehicle: string, sensor: string, ts: number, value: number | null, text: string]
const readings: Stored[] = [
  ['v', 'a', testNow, 0.1, '0.1'],
  ['v', 'a', testNow - 1, 1e21, '1e21'],
  ['v', 'a', testNow - day, -0.30000000000000004, ''],
  ['v', 'a', testNow - 40 * day, 40, '40'],
  ['v', 'a', testNow - 5, null, 'drive'],
  ['w', 'a', testNow, 99, '99'],
  [hostile, hostile, testNow - 2, 2, '2'],
  ...[0, 1, 30, 60].map((value, index): Stored => ['v', speed, testNow - 2 * hour - index, value, '']),
  ['v', speed, testNow - 3 * day, 0, ''],
  ['v', speed, testNow - 10 * day, 100, ''],
  ['v', speed, testNow - 31 * day, 100, ''],
  ['v', speed, testNow - 1_000, 80, ''],
  // Where the sums of the engine end and single readings begin.
  ['v', speed, testNow - 600_000, 20, ''],
  ['v', speed, testNow - 600_001, 20, ''],
]
const anomalies: [string, number, number, string][] = [
  ['v', testNow - hour, 0, 'seen once'],
  ['v', testNow - 2 * day, 3, 'seen'],
  ['v', testNow - 20 * day, 5, 'seen'],
  ['v', testNow - 20 * day, 77, 'unknown'],
  ['w', testNow - hour, 3, 'seen'],
]
const file = (offset: number) => ({ stream: 'topic-0', first: offset, last: offset })

let directory: string
let warehouse: Warehouse
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flasktoria-history-'))
  const writer = await openParquetWriter({ directory })
  let offset = 0
  for (const [vehicle, sensor, ts, value, text] of readings)
    await writer.write(historyTables.sensor, dayOf(ts), file(offset++), [
      [vehicle, sensor, ts, value, text, null, null],
    ])
  for (const [vehicle, ts, id, detected] of anomalies)
    await writer.write(historyTables.anomaly, dayOf(ts), file(offset++), [
      [vehicle, 's', ts, detected, 'confirmed', id, 'cause', 'advice'],
    ])
  await writer.close()
  warehouse = await createDuckdbWarehouse({ directory })
})
afterAll(async () => {
  await warehouse.close()
  await rm(directory, { recursive: true })
})

test('readings come to the last digit, from both ends of the period, words left out', async () => {
  const { app } = createTestApp({ warehouse })
  const { status, body } = await ask(app, 'getSensordata', `/api/sensordata/v?sensor_ids=a,b&start_ts=${testNow - day}`)
  expect(status).toBe(200)
  expect(body).toEqual({
    a: [
      { timestamp: testNow, value: 0.1 },
      { timestamp: testNow - 1, value: 1e21 },
      { timestamp: testNow - day, value: -0.30000000000000004 },
    ],
    b: [],
  })
  const old = `/api/sensordata/v?sensor_ids=a&start_ts=-${'9'.repeat(30)}&end_ts=${testNow - 40 * day}`
  expect((await ask(app, 'getSensordata', old)).body).toEqual({ a: [{ timestamp: testNow - 40 * day, value: 40 }] })
})

test('what the window knows beyond the history is in its place', async () => {
  const { app, hear } = createTestApp({ warehouse })
  hear(reading('v', 'a', testNow - 1, '7'), reading('v', 'a', testNow - 2, '8'))
  const { body } = await ask(app, 'getSensordata', `/api/sensordata/v?sensor_ids=a&start_ts=${testNow - 10}`)
  expect(body['a']!.map(({ value }) => value)).toEqual([0.1, 1e21, 8])
})

test('ids that look like SQL are ids', async () => {
  const { app } = createTestApp({ warehouse })
  const id = encodeURIComponent(hostile)
  const response = await app.request(`/api/sensordata/${id}?sensor_ids=${id},x&start_ts=1`)
  expect(Object.entries((await response.json()) as object)).toEqual([
    [hostile, [{ timestamp: testNow - 2, value: 2 }]],
    ['x', []],
  ])
  const all = encodeURIComponent("' OR '1'='1")
  expect((await ask(app, 'getSensordata', `/api/sensordata/${all}?sensor_ids=${all}&start_ts=1`)).body).toEqual({
    "' OR '1'='1": [],
  })
})

test('anomalies of history and window stand once each, newest first', async () => {
  const { app, hear } = createTestApp({ warehouse })
  hear(anomaly('v', 0, testNow - hour, 'seen once'), anomaly('v', 4, testNow - 3 * hour))
  const { body } = await ask(app, 'getAnomalies', `/api/anomalies?start_ts=${testNow - 2 * day}`)
  expect(body.map(({ vehicle_id, anomaly_id, timestamp }) => [vehicle_id, anomaly_id, testNow - timestamp!])).toEqual([
    ['v', 0, hour],
    ['w', 3, hour],
    ['v', 4, 3 * hour],
    ['v', 3, 2 * day],
  ])
})

test('costs and efficiency join history and window', async () => {
  const { app, hear } = createTestApp({ warehouse })
  hear(anomaly('v', 1, testNow), anomaly('v', 0, testNow - hour, 'seen once'))
  hear(reading('v', speed, testNow - 1_000, '1'), reading('v', speed, testNow - 500, '0'))
  const { body } = await ask(app, 'getCost', '/api/cost/v')
  expect(body.cost_index).toMatchObject({ day: { value: 100 }, week: { value: 1_100 }, month: { value: 1_150 } })
  expect(body.cost_index.day.why).toBe(
    'Anomalies in the last 24 hours: 1 × Low tire pressure (100), 1 × Excessive braking (0).',
  )
  // Day: 0, 1, 30, 60, 20, 20 of the history, 80 where both have a reading, 0 of the window only.
  expect(body.efficiency_index).toEqual({
    day: { value: 62.5, why: 'Moving in 62.5 % of 8 speed readings of the last 24 hours; mean speed 26.4 km/h.' },
    week: { value: 55.56, why: 'Moving in 55.6 % of 9 speed readings of the last 7 days; mean speed 23.4 km/h.' },
    month: { value: 60, why: 'Moving in 60 % of 10 speed readings of the last 30 days; mean speed 31.1 km/h.' },
  })
})

test('a period with too many rows is refused, never cut short', async () => {
  const limits = { sensorIds: 5, rows: 3, historyRequests: 4 }
  const { app } = createTestApp({ warehouse, limits })
  const since = (start: number) => ask(app, 'getSensordata', `/api/sensordata/v?sensor_ids=a&start_ts=${start}`)
  expect((await since(testNow - day)).body['a']).toHaveLength(3)
  expect(await since(testNow - 41 * day)).toMatchObject(errorOf(400, 'start_ts,end_ts'))
})

test('a folder without files is a history without rows', async () => {
  const empty = await createDuckdbWarehouse({ directory: join(directory, 'nothing', 'here') })
  const { app } = createTestApp({ warehouse: empty })
  expect((await ask(app, 'getSensordata', '/api/sensordata/v?sensor_ids=a&start_ts=1')).body).toEqual({ a: [] })
  expect((await ask(app, 'getCost', '/api/cost/v')).body.cost_index.month.value).toBe(0)
  await empty.close()
  expect(await ask(app, 'getAnomalies', '/api/anomalies?start_ts=1')).toMatchObject(errorOf(503, ''))
})
