import { expect, test } from 'vitest'
import {
  anomalyCatalogueSchema,
  defaultAnomalies,
  defaultSensors,
  sensorCatalogueSchema,
  heldStatusOf,
  statusOf,
  vehicleName,
} from './catalogue.ts'

test('the catalogues that we ship are catalogues', () => {
  expect(sensorCatalogueSchema.parse(defaultSensors)).toEqual(defaultSensors)
  expect(anomalyCatalogueSchema.parse(defaultAnomalies)).toEqual(defaultAnomalies)
})

test('every sensor of an anomaly stands in the sensor catalogue', () => {
  const known = new Set(defaultSensors.map(({ id }) => id))
  for (const { sensors } of defaultAnomalies) for (const sensor of sensors) expect(known).toContain(sensor)
})

test('an id that stands twice is refused, with its place', () => {
  const [first] = defaultSensors
  const result = sensorCatalogueSchema.safeParse([first, first])
  expect(result.error?.issues[0]).toMatchObject({ path: [1, 'id'], message: 'sensor pid_5_mode_1 stands twice' })
  expect(anomalyCatalogueSchema.safeParse([defaultAnomalies[0], defaultAnomalies[0]]).success).toBe(false)
})

test('an empty range is refused', () => {
  expect(sensorCatalogueSchema.safeParse([{ id: 's', name: 'S', unit: '', min: 2, max: 1 }]).success).toBe(false)
  expect(sensorCatalogueSchema.safeParse([{ id: 's', name: 'S', unit: '', low: 2, high: 1 }]).success).toBe(false)
})

test('the bounds of the normal range belong to it', () => {
  const sensor = { id: 's', name: 'S', unit: '', low: 10, high: 20 }
  expect([9.9, 10, 20, 20.1].map((value) => statusOf(sensor, value))).toEqual(['low', 'ok', 'ok', 'high'])
})

test('a sensor without a range is always ok', () => {
  expect(statusOf({ id: 's', name: 'S', unit: '' }, -1e9)).toBe('ok')
})

test('a vehicle without a name is named after its id, whatever the id is', () => {
  expect(vehicleName({ v1: 'Ada' }, 'v1')).toBe('Ada')
  expect(vehicleName({ v1: 'Ada' }, 'v2')).toBe('Vehicle v2')
  expect(vehicleName({}, 'constructor')).toBe('Vehicle constructor')
})

test('near a limit a status stays, by the hysteresis of the sensor or 2 % of its range', () => {
  const sensor = { id: 's', name: 'S', unit: '', low: 10, high: 20 }
  const held = (values: number[], more = {}) => values.map((value) => heldStatusOf({ ...sensor, ...more }, value))
  expect(held([9.9, 10, 10.19, 10.2, 19.8, 19.81, 20, 20.1])).toEqual([
    undefined,
    'low',
    'low',
    undefined,
    undefined,
    'high',
    'high',
    undefined,
  ])
  expect(held([10, 12.9, 13], { hysteresis: 3 })).toEqual(['low', 'low', undefined])
  expect(held([10], { hysteresis: 0 })).toEqual([undefined])
  expect(heldStatusOf({ id: 's', name: 'S', unit: '', high: 100 }, 98.5)).toBe('high')
  expect(heldStatusOf({ id: 's', name: 'S', unit: '' }, 0)).toBeUndefined()
})
