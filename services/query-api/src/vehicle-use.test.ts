import { expect, test } from 'vitest'
import { fleetUse, ranked, vehicleUse } from './vehicle-use.ts'

const driving = {
  vehicle: 'a',
  readings: 10,
  movingMs: 60_000,
  idleMs: 30_500,
  distanceMetres: 1_000.4,
  overspeedMs: 15_000,
  overspeeds: 2,
  maxSpeedKmh: 120,
  first: 0,
  firstAt: 1,
  last: 0,
  lastAt: 2,
}
const fuel = { vehicle: 'b', readings: 9, firstMean: 60, lastMean: 50, used: 12.3456, filled: 40, fillings: 1 }

test('what a vehicle did not report is null, or nothing', () => {
  const [a, b] = fleetUse([driving], [fuel])
  expect(a).toMatchObject({ idleSeconds: 30.5, distanceMetres: 1_000, overspeedShare: 0.25, fuelUsed: null })
  expect(b).toMatchObject({ speedReadings: 0, maxSpeedKmh: null, overspeedShare: null, fuelUsed: 12.35, fillings: 1 })
})

test('a level that only wobbled used nothing', () => {
  expect(vehicleUse('b', undefined, { ...fuel, used: -0.2 }).fuelUsed).toBe(0)
})

test('the greatest leads, and equals stand by their ids', () => {
  const uses = fleetUse([driving, { ...driving, vehicle: 'c', idleMs: 1, overspeedMs: 20_000 }], [fuel])
  const order = (ranking: Parameters<typeof ranked>[1]) =>
    ranked(uses, ranking)
      .map(({ vehicle }) => vehicle)
      .join('')
  expect([order('idle'), order('distance'), order('fuel'), order('overspeed')]).toEqual(['acb', 'acb', 'bac', 'cab'])
})
