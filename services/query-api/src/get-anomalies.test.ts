import { expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { anomaly, ask, createTestApp, errorOf, testNow } from './test-app.ts'

const anomalies = (app: Parameters<typeof ask>[0], query = 'start_ts=0') =>
  ask(app, 'getAnomalies', `/api/anomalies?${query}`)
const failing = (fail: 'unavailable' | 'timeout') =>
  createTestApp({ warehouse: createScriptedWarehouse({ fail }).warehouse }).app
const stored = (ts: number, detected: string) => ['v', ts, 1, detected, 'confirmed', '', '']

test('200: everything is text but what was added, newest first, and unknown anomalies are left out', async () => {
  const { app, hear } = createTestApp()
  hear(anomaly('v', 0, testNow - 20), anomaly('v', 99, testNow - 15), anomaly('__proto__', 3, testNow - 10, 'seen "x"'))
  const { status, body } = await anomalies(app)
  expect(status).toBe(200)
  expect(body).toEqual([
    {
      desc: 'High fuel consumption',
      cost_impact: '1000',
      vehicle_id: '__proto__',
      declared_timestamp: 'confirmed',
      detection_timestamp: 'seen "x"',
      cause: 'More fuel used than this distance explains',
      actions: 'Check the tire pressure/Look for a leak/Inspect the injection',
      downtime: '30',
      anomaly_id: 3,
      timestamp: testNow - 10,
    },
    expect.objectContaining({ vehicle_id: 'v', anomaly_id: 0, timestamp: testNow - 20 }),
  ])
})

test('200: history and window are one list, each anomaly once, both ends included', async () => {
  const { warehouse } = createScriptedWarehouse({ anomalies: [stored(testNow - 5, 'd'), stored(testNow - 7, 'd')] })
  const { app, hear } = createTestApp({ warehouse })
  hear(
    anomaly('v', 1, testNow - 5),
    anomaly('v', 1, testNow - 5, 'again'),
    anomaly('v', 1, testNow - 9),
    anomaly('v', 1, testNow - 10),
    anomaly('v', 1, testNow),
  )
  const { body } = await anomalies(app, `start_ts=${testNow - 9}`)
  expect(body.map(({ timestamp }) => testNow - timestamp!)).toEqual([0, 5, 5, 7, 9])
})

test('200: nothing is an empty list', async () => {
  expect(await anomalies(createTestApp().app, 'start_ts=-9&end_ts=-8')).toMatchObject({ status: 200, body: [] })
})

test.for([
  ['', 'start_ts'],
  ['start_ts=x', 'start_ts'],
  ['start_ts=1&end_ts=1', 'start_ts,end_ts'],
  [`start_ts=${testNow + 1}&end_ts=99999999999999999999`, 'start_ts'],
] as const)('400: %s names %s', async ([query, fields]) => {
  expect(await anomalies(createTestApp().app, query)).toMatchObject(errorOf(400, fields))
})

test('503 and 504: a warehouse that is away or slow', async () => {
  expect(await anomalies(failing('unavailable'))).toMatchObject(errorOf(503, ''))
  expect(await anomalies(failing('timeout'))).toMatchObject(errorOf(504, ''))
})
