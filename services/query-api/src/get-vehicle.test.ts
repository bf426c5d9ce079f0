import { identifierPattern } from '@flasktoria/contracts/identifiers'
import { defaultSensors } from '@flasktoria/contracts/catalogue'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ask, createTestApp, errorOf, reading, testNow } from './test-app.ts'

const [fuel, speed] = ['pid_47_mode_1', 'pid_13_mode_1']
const vehicle = (app: Parameters<typeof ask>[0], id: string) => ask(app, 'getVehicle', `/api/vehicle/${id}`)

test('200: fuel and speed of the last 60 seconds, newest first, late ones in their place, one a time', async () => {
  const { app, hear } = createTestApp()
  hear(
    reading('car-1', speed, testNow - 60_001, '1'),
    reading('car-1', speed, testNow - 60_000, '2'),
    reading('car-1', speed, testNow, '3.25'),
    reading('car-1', speed, testNow - 10, '4'),
    reading('car-1', speed, testNow - 10, '5'),
    reading('car-1', fuel, testNow - 5, '0.1'),
    reading('car-2', fuel, testNow - 5, '9'),
  )
  const { status, body } = await vehicle(app, 'car-1')
  expect(status).toBe(200)
  expect(body).toMatchObject({ name: 'Ada', status: 'ok' })
  expect(body.sensordata).toEqual({
    fuel: [{ timestamp: testNow - 5, value: 0.1 }],
    speed: [
      { timestamp: testNow, value: 3.25 },
      { timestamp: testNow - 10, value: 5 },
      { timestamp: testNow - 60_000, value: 2 },
    ],
    kpi: [],
  })
})

test('200: the sensors of the catalogue, as descriptors', async () => {
  const { body } = await vehicle(createTestApp().app, 'any')
  expect(body.sensors).toHaveLength(defaultSensors.length)
  expect(body.sensors).toContainEqual({
    sensor_id: speed,
    sensor_name: 'Vehicle Speed',
    unit: 'km/h',
    high: 120,
  })
})

test('200: a vehicle that sends only one of both, or words, or nothing, is no error', async () => {
  const { app, hear } = createTestApp()
  hear(reading('half', speed, testNow, '7'), reading('words', speed, testNow, 'fast'))
  expect((await vehicle(app, 'half')).body.sensordata).toMatchObject({ fuel: [], speed: [{ value: 7 }] })
  expect((await vehicle(app, 'words')).body.sensordata).toEqual({ fuel: [], speed: [], kpi: [] })
  expect((await vehicle(app, 'silent')).body).toMatchObject({ name: 'Vehicle silent', sensordata: { speed: [] } })
})

test('200: any id is one, however it has to be written in a URL', async () => {
  const { app } = createTestApp()
  const ids = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
  await fc.assert(
    fc.asyncProperty(ids, async (id) => {
      fc.pre(identifierPattern.test(id) && id !== '.' && id !== '..')
      const { status, body } = await vehicle(app, encodeURIComponent(id))
      expect({ status, name: body.name }).toEqual({ status: 200, name: `Vehicle ${id}` })
    }),
    { examples: [['__proto__'], ['%'], ['a/b'], ['%2525'], ['a?b#c'], ['\\'], ['🚚'], [' '], ['+']] },
  )
})

test.for(['%00', 'a%0Ab', '%7F', '%', '%zz', '%E4', 'a%C3%28', 'x'.repeat(129)])(
  '400: %j is no vehicle id',
  async (id) => {
    expect(await vehicle(createTestApp().app, id)).toMatchObject(errorOf(400, 'vehicle_id'))
  },
)
