import type { FuelUse } from '@flasktoria/warehouse/queries-use'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { inSlices, joinDriving, joinFuelUse } from './use-slices.ts'

const stepMs = 10
const period = fc.tuple(fc.nat(10_000), fc.nat(10_000)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }))

test('slices follow one another without hole, cut at steps, and hold about as many readings as wanted', async () => {
  await fc.assert(
    fc.asyncProperty(period, fc.integer({ min: 1, max: 500 }), async (asked, sliceRows) => {
      const seen: { from: number; to: number }[] = []
      await inSlices(asked, { stepMs, firstMs: 50, sliceRows }, async (slice) => {
        seen.push(slice)
        return [{ readings: slice.to - slice.from + 1 }]
      })
      expect(seen[0]!.from).toBe(asked.from)
      expect(seen.at(-1)!.to).toBe(asked.to)
      for (const [index, { from }] of seen.slice(1).entries()) {
        expect(from).toBe(seen[index]!.to + 1)
        expect(from % stepMs).toBe(0)
      }
      for (const { from, to } of seen.slice(2))
        expect(to - from + 1).toBeLessThanOrEqual(Math.max(2 * sliceRows, stepMs))
    }),
  )
})

/** What an engine says of the means of one slice. */
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

test('the fuel of slices is that of the whole, however it is cut', () => {
  const slices = fc.array(fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 5 }), { maxLength: 6 })
  fc.assert(
    fc.property(slices, (means) => {
      expect(joinFuelUse(means.map(useOf), 5)).toEqual(useOf(means.flat()))
    }),
  )
})

test('the driving of slices adds up, and the fastest stays', () => {
  const driving = {
    vehicle: 'v',
    readings: 1,
    movingMs: 2,
    idleMs: 3,
    distanceMetres: 4,
    overspeedMs: 5,
    overspeeds: 6,
    maxSpeedKmh: 70,
  }
  expect(joinDriving([[driving], [], [{ ...driving, maxSpeedKmh: 60 }]])).toEqual([
    {
      vehicle: 'v',
      readings: 2,
      movingMs: 4,
      idleMs: 6,
      distanceMetres: 8,
      overspeedMs: 10,
      overspeeds: 12,
      maxSpeedKmh: 70,
    },
  ])
})
