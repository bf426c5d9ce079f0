import { expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { createTestApp, testNow } from './test-app.ts'

const day = 86_400_000
const settled = 'private, max-age=86400, immutable'
const { warehouse } = createScriptedWarehouse({ readings: [['a', testNow - 3 * day, 1]] })
const { app } = createTestApp({ warehouse })
const cacheControl = async (path: string, on = app) => (await on.request(path)).headers.get('Cache-Control')

test.for([
  [`/api/sensordata/v?sensor_ids=a&start_ts=1&end_ts=${testNow - day - 1}`, settled],
  [`/api/sensordata/v?sensor_ids=a&start_ts=1&end_ts=${testNow - day}`, 'no-cache'],
  ['/api/sensordata/v?sensor_ids=a&start_ts=1', 'no-cache'],
  [`/api/anomalies?start_ts=1&end_ts=${testNow - 2 * day}`, settled],
  ['/api/anomalies?start_ts=1&end_ts=99999999999999999999', 'no-cache'],
  [`/api/v1/vehicles/v/history?sensors=a&from=1&to=${testNow - 2 * day}`, settled],
  ['/api/v1/vehicles/v/history?sensors=a&from=1&to=2026-11-20T00:00:00Z', settled],
  ['/api/v1/vehicles/v/history?sensors=a&from=1', 'no-cache'],
  ['/api/cost/v', 'no-cache'],
  ['/api/map', 'no-cache'],
  ['/api/vehicle/v', 'no-cache'],
  ['/api/swagger.json', 'no-cache'],
  ['/api/sensordata/v', null],
  ['/api/nothing', null],
] as const)('%s: Cache-Control %j', async ([path, expected]) => {
  expect(await cacheControl(path)).toBe(expected)
})

test('a period is not settled before the history has it whole', async () => {
  const behind = createTestApp({ warehouse, watermark: { completeTo: () => testNow - 3 * day } }).app
  const path = (daysAgo: number) => `/api/anomalies?start_ts=1&end_ts=${testNow - daysAgo * day}`
  expect(await cacheControl(path(2), behind)).toBe('no-cache')
  expect(await cacheControl(path(4), behind)).toBe(settled)
  expect(await cacheControl(path(4), createTestApp().app)).toBe('no-cache')
})

test('answers that are whole have a validator, and are not sent again; a part of them is not offered', async () => {
  for (const path of ['/api/vehicle/v', '/api/cost/v', '/api/ui/swagger-ui.css', `/api/anomalies?start_ts=1`]) {
    const first = await app.request(path)
    const etag = first.headers.get('ETag')!
    expect(etag, path).toMatch(/^"[\w-]+"$/)
    const again = await app.request(path, { headers: { 'If-None-Match': `"x", W/${etag}` } })
    expect([again.status, await again.text(), again.headers.get('ETag')], path).toEqual([304, '', etag])
    expect(again.headers.get('Vary'), path).toBe('Origin, Accept-Encoding')
    expect((await app.request(path, { headers: { 'If-None-Match': '"x"', Range: 'bytes=0-1' } })).status).toBe(200)
  }
  const part = await app.request('/api/map', { headers: { Range: 'bytes=0-1' } })
  expect([part.status, part.headers.get('Accept-Ranges')]).toEqual([200, 'none'])
  const wsctl = await app.request('/api/wsctl', { method: 'POST', body: '[]', headers: { 'If-None-Match': '*' } })
  expect([wsctl.status, wsctl.headers.get('ETag')]).toEqual([200, null])
})
