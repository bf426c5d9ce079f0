import { expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { anomaly, ask, createTestApp, errorOf, reading, testNow } from './test-app.ts'

const cost = (app: Parameters<typeof ask>[0], id = 'v') => ask(app, 'getCost', `/api/cost/${id}`)
const speed = 'pid_13_mode_1'
const failing = (fail: 'unavailable' | 'timeout') =>
  createTestApp({ warehouse: createScriptedWarehouse({ fail }).warehouse }).app

test('200: what the window knows, of this vehicle only, when there is no warehouse', async () => {
  const { app, hear } = createTestApp()
  hear(
    anomaly('v', 0, testNow - 1),
    anomaly('w', 3, testNow - 1),
    reading('v', speed, testNow, '50'),
    reading('v', speed, testNow - 1, '0'),
  )
  const { status, body } = await cost(app)
  expect(status).toBe(200)
  expect(body.cost_index.day.value).toBe(100)
  expect(body.efficiency_index.month.value).toBe(50)
})

test('200: nothing costs nothing, and says so', async () => {
  const { body } = await cost(createTestApp().app, '%F0%9F%9A%9A')
  expect(body.cost_index.week).toEqual({ value: 0, why: 'No anomaly in the last 7 days.' })
  expect(body.efficiency_index.week).toEqual({ value: 0, why: 'No speed reading in the last 7 days.' })
})

test('400: what is no vehicle id', async () => {
  expect(await cost(createTestApp().app, '%00')).toMatchObject(errorOf(400, 'vehicle_id'))
})

test('503 and 504: one failed question fails the answer', async () => {
  expect(await cost(failing('unavailable'))).toMatchObject(errorOf(503, ''))
  expect(await cost(failing('timeout'))).toMatchObject(errorOf(504, ''))
})
