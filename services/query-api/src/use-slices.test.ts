import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { inSlices, vehicleRanges } from './use-slices.ts'

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

test('ranges of vehicles hold each vehicle once, in order, and no more readings than wanted unless of one alone', () => {
  const fleet = fc
    .array(fc.integer({ min: 1, max: 200 }), { maxLength: 60 })
    .map((counts) => counts.map((readings, index) => ({ vehicle: String(1_000 + index), readings })))
  fc.assert(
    fc.property(fleet, fc.integer({ min: 1, max: 300 }), (vehicles, sliceRows) => {
      const ranges = vehicleRanges(vehicles, sliceRows)
      const members = ranges.map(({ first, last }) =>
        vehicles.filter(({ vehicle }) => vehicle >= first && vehicle <= last),
      )
      expect(members.flat()).toEqual(vehicles)
      for (const [index, { readings }] of ranges.entries()) {
        expect(readings).toBe(members[index]!.reduce((sum, one) => sum + one.readings, 0))
        expect(members[index]!.length === 1 || readings <= sliceRows).toBe(true)
      }
    }),
  )
})
