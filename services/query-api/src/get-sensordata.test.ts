import { expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { ask, createTestApp, errorOf, reading, testNow } from './test-app.ts'

const sensordata = (app: Parameters<typeof ask>[0], query: string, vehicle = 'v') =>
  ask(app, 'getSensordata', `/api/sensordata/${vehicle}?${query}`)
const since = testNow - 1_000

test('200: one key per requested sensor, newest first, both ends included, to the last digit', async () => {
  const { app, hear } = createTestApp()
  hear(
    reading('v', 'a', since - 1, '1'),
    reading('v', 'a', since, '2'),
    reading('v', 'a', since + 5, '0.30000000000000004'),
    reading('v', 'a', testNow, '-1e-7'),
    reading('v', 'gear', since, 'drive'),
  )
  const { status, body } = await sensordata(app, `sensor_ids=a,gear,none,a&start_ts=${since}`)
  expect(status).toBe(200)
  expect(body).toEqual({
    a: [
      { timestamp: testNow, value: -1e-7 },
      { timestamp: since + 5, value: 0.30000000000000004 },
      { timestamp: since, value: 2 },
    ],
    gear: [],
    none: [],
  })
})

test('200: history and window are one series, without hole or duplicate; history counts where both know', async () => {
  const { warehouse } = createScriptedWarehouse({
    readings: [
      ['a', testNow - 20, 20],
      ['b', testNow - 25, 25],
      ['a', testNow - 30, 30],
    ],
  })
  const { app, hear } = createTestApp({ warehouse })
  hear(
    reading('v', 'a', testNow - 10, '10'),
    reading('v', 'a', testNow - 20, '99'),
    reading('v', 'a', testNow - 25, '25'),
  )
  const { body } = await sensordata(app, `sensor_ids=a,b&start_ts=${since}`)
  expect(body['a']!.map(({ value }) => value)).toEqual([10, 20, 25, 30])
  expect(body['b']).toEqual([{ timestamp: testNow - 25, value: 25 }])
})

test('200: sensors with hostile names have their keys', async () => {
  const { app, hear } = createTestApp()
  hear(reading('v', '__proto__', testNow, '1'))
  const names = ['__proto__', 'constructor', 'a"b', '🚚', "x'y"]
  const response = await app.request(
    `/api/sensordata/v?start_ts=1&sensor_ids=${names.map(encodeURIComponent).join(',')}`,
  )
  const body = Object.entries((await response.json()) as object)
  expect(body.map(([name]) => name)).toEqual(names)
  expect(body[0]).toEqual(['__proto__', [{ timestamp: testNow, value: 1 }]])
})

test('200: unknown parameters are ignored, of a repeated one the first counts, an end in the future is now', async () => {
  const { app, hear } = createTestApp()
  hear(reading('v', 'a', testNow, '1'), reading('v', 'a', testNow + 5, '2'))
  const query = `x=1&sensor_ids=a&sensor_ids=b&start_ts=-5&start_ts=zzz&end_ts=99999999999999999999&__proto__=1`
  expect((await sensordata(app, query)).body).toEqual({ a: [{ timestamp: testNow, value: 1 }] })
})

test.for([
  ['start_ts=1', 'sensor_ids'],
  ['sensor_ids=&start_ts=1', 'sensor_ids'],
  ['sensor_ids=,&start_ts=1', 'sensor_ids'],
  ['sensor_ids=a,b,c,d,e,f&start_ts=1', 'sensor_ids'],
  ['sensor_ids=a%00&start_ts=1', 'sensor_ids'],
  ['sensor_ids=a', 'start_ts'],
  ['sensor_ids=a&start_ts=', 'start_ts'],
  ['sensor_ids=a&start_ts=1e3', 'start_ts'],
  ['sensor_ids=a&start_ts=1.5', 'start_ts'],
  ['sensor_ids=a&start_ts=%205', 'start_ts'],
  ['sensor_ids=a&start_ts=1&end_ts=x', 'end_ts'],
  ['sensor_ids=a&start_ts=1&end_ts=', 'end_ts'],
  ['sensor_ids=a&start_ts=5&end_ts=5', 'start_ts,end_ts'],
  ['sensor_ids=a&start_ts=6&end_ts=5', 'start_ts,end_ts'],
  [`sensor_ids=a&start_ts=${testNow + 1}`, 'start_ts'],
  ['', 'sensor_ids,start_ts'],
  ['start_ts=a&end_ts=b', 'sensor_ids,start_ts,end_ts'],
] as const)('400: %s names %s', async ([query, fields]) => {
  expect(await sensordata(createTestApp().app, query)).toMatchObject(errorOf(400, fields))
})

test('400: more rows than an answer may have ask for a shorter period, from history as from the window', async () => {
  const rows = Array.from({ length: 11 }, (_, index) => testNow - index)
  const limits = { sensorIds: 5, rows: 10, historyRequests: 4 }
  const { warehouse } = createScriptedWarehouse({ readings: rows.map((ts) => ['a', ts, 1]) })
  const query = 'sensor_ids=a&start_ts=1'
  expect(await sensordata(createTestApp({ warehouse, limits }).app, query)).toMatchObject(
    errorOf(400, 'start_ts,end_ts'),
  )
  const { app, hear } = createTestApp({ limits })
  hear(...rows.map((ts) => reading('v', 'a', ts, '1')))
  expect(await sensordata(app, query)).toMatchObject(errorOf(400, 'start_ts,end_ts'))
})

test.for([
  ['unavailable', 503, 'The history is not available just now.'],
  ['overloaded', 503, 'Too many questions at once.'],
  ['timeout', 504, 'The history took too long to answer.'],
  [
    'out_of_memory',
    400,
    'The history has too little memory for this question: ask for a shorter period, a smaller box, or fewer sensors.',
  ],
  ['no_table', 503, 'The history is not available just now.'],
  ['statement', 500, 'The server failed.'],
] as const)('a warehouse that is %s is answered %i, without its words', async ([fail, status, message]) => {
  const { app, metrics } = createTestApp({ warehouse: createScriptedWarehouse({ fail }).warehouse })
  const answer = await sensordata(app, 'sensor_ids=a&start_ts=1')
  expect(answer).toMatchObject({ status, body: { code: status, message, fields: '' } })
  expect(answer.headers.get('Retry-After')).toBe(status === 503 ? '2' : null)
  expect(await metrics.registry.metrics()).toContain(`warehouse_failures_total{kind="${fail}",service="query-api"} 1`)
})

test('a table that is not there yet makes the service degraded until it is seen', async () => {
  const scripted = createScriptedWarehouse({ fail: 'no_table' })
  const { app } = createTestApp({ warehouse: scripted.warehouse })
  const ready = async () => (await app.request('/readyz')).json()
  expect(await ready()).toMatchObject({ status: 'ok' })
  await ask(app, 'getAnomalies', '/api/anomalies?start_ts=1')
  await sensordata(app, 'sensor_ids=a&start_ts=1')
  expect(await ready()).toMatchObject({
    status: 'degraded',
    checks: { warehouse: 'there was no table anomaly_history and no table sensor_history when last asked' },
  })
  scripted.heal()
  await sensordata(app, 'sensor_ids=a&start_ts=1')
  expect(await ready()).toMatchObject({ checks: { warehouse: expect.stringMatching(/no table anomaly_history when/) } })
  await ask(app, 'getAnomalies', '/api/anomalies?start_ts=1')
  expect(await ready()).toMatchObject({ status: 'ok' })
})

test('equal questions at once are one to the warehouse, and it is withdrawn when nobody waits any more', async () => {
  const scripted = createScriptedWarehouse({ hangs: true })
  const { app } = createTestApp({ warehouse: scripted.warehouse })
  const clients = [new AbortController(), new AbortController(), new AbortController()]
  const answers = clients.map(async ({ signal }) =>
    app.request('/api/sensordata/v?sensor_ids=a&start_ts=1', { signal }),
  )
  await expect.poll(() => scripted.asked.length).toBe(1)
  for (const client of clients.slice(1)) client.abort()
  await Promise.all(answers.slice(1))
  expect([scripted.asked.length, scripted.cancelled]).toEqual([1, 0])
  clients[0]!.abort()
  await answers[0]
  expect(scripted.cancelled).toBe(1)
})

test('503: more requests at once than the warehouse may see are sent away at once, and room is made again', async () => {
  const scripted = createScriptedWarehouse({ hangs: true })
  const limits = { sensorIds: 5, rows: 10, historyRequests: 2 }
  const { app } = createTestApp({ warehouse: scripted.warehouse, limits })
  const leaving = new AbortController()
  const query = '/api/sensordata/v?sensor_ids=a&start_ts='
  const waiting = [1, 2].map(async (start) => app.request(query + start, { signal: leaving.signal }))
  expect(await sensordata(app, 'sensor_ids=a&start_ts=1')).toMatchObject(errorOf(503, ''))
  leaving.abort()
  await Promise.all(waiting)
  expect(scripted.cancelled).toBe(2)
  void app.request(`${query}1`)
  await expect.poll(() => scripted.asked.length).toBe(3)
})
