import type { FuelUse } from '@flasktoria/warehouse/queries-use'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Series } from './series.ts'
import { drivingOf, fuelUseOf, joinDriving, joinFuelUse } from './use-sums.ts'

/** What an engine says of the means of one part. */
function useOf(means: readonly number[]): FuelUse[] {
  if (means.length === 0) return []
  const rises = means.slice(1).map((mean, index) => mean - means[index]!)
  const filled = rises.filter((rise) => rise >= 5)
  const sum = (some: readonly number[]) => some.reduce((total, rise) => total + rise, 0)
  return [
    {
      vehicle: 'v',
      readings: means.length,
      used: -sum(rises.filter((rise) => rise < 5)),
      filled: sum(filled),
      fillings: filled.length,
      firstMean: means[0]!,
      lastMean: means.at(-1)!,
    },
  ]
}

test('the fuel of parts is that of the whole, however it is cut', () => {
  const parts = fc.array(fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 5 }), { maxLength: 6 })
  fc.assert(
    fc.property(parts, (means) => {
      expect(joinFuelUse(means.map(useOf), 5)).toEqual(useOf(means.flat()))
    }),
  )
})

const rules = { movingAbove: 1, speedLimit: 100, gapMs: 10 }
type Sample = readonly [timestamp: number, value: number]

function newestFirst(samples: readonly Sample[]): Series {
  const series = new Series()
  for (const sample of samples.toReversed()) series.push(...sample)
  return series
}

/** Speeds in order of time, with silences, and with what no vehicle drives. */
const speeds = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.constantFrom(0, 1, 50, 101, 130, -1, 501)), { maxLength: 30 })
  .map((steps) => {
    let now = 0
    return steps.map(([pause, speed]): Sample => [(now += pause), speed])
  })

test('the driving of parts is that of the whole, however it is cut', () => {
  fc.assert(
    fc.property(speeds, fc.array(fc.nat(400), { maxLength: 4 }), (samples, cuts) => {
      const edges = [-Infinity, ...cuts.toSorted((a, b) => a - b), Infinity]
      const parts = edges.slice(1).map((to, index) => {
        const own = samples.filter(([timestamp]) => timestamp > edges[index]! && timestamp <= to)
        return drivingOf('v', newestFirst(own), rules)
      })
      const [joined] = joinDriving(parts, rules)
      const [whole] = drivingOf('v', newestFirst(samples), rules)
      expect({ ...joined, distanceMetres: joined?.distanceMetres.toFixed(6) }).toEqual({
        ...whole,
        distanceMetres: whole?.distanceMetres.toFixed(6),
      })
    }),
  )
})

test('a reading is true until the next one, unless that comes too late; what no vehicle drives is none', () => {
  const samples: Sample[] = [
    [0, 120],
    [10, 120],
    [12, 700],
    [20, 0],
    [31, 108],
    [40, 90],
  ]
  expect(drivingOf('v', newestFirst(samples), rules)).toEqual([
    {
      vehicle: 'v',
      readings: 5,
      movingMs: 29,
      idleMs: 0,
      distanceMetres: expect.closeTo((120 * 10 + 60 * 10 + 99 * 9) / 3_600),
      overspeedMs: 29,
      overspeeds: 2,
      maxSpeedKmh: 120,
      first: 120,
      firstAt: 0,
      last: 90,
      lastAt: 40,
    },
  ])
  expect(drivingOf('v', newestFirst([[0, -1]]), rules)).toEqual([])
})

test('fuel is summed up by the means of intervals', () => {
  const samples: Sample[] = [
    [0, 50],
    [4, 48],
    [10, 40],
    [19, 38],
    [25, 80],
  ]
  expect(fuelUseOf('v', newestFirst(samples), 10, 5)).toEqual([
    { vehicle: 'v', readings: 5, used: 10, filled: 41, fillings: 1, firstMean: 49, lastMean: 80 },
  ])
  expect(fuelUseOf('v', newestFirst([]), 10, 5)).toEqual([])
})
