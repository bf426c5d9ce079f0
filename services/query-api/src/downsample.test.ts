import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { BucketGatherer, type Grid } from './bucket-gatherer.ts'
import { extremesOf, gridOf, gridOfTriangles, largestTriangles, type Sample } from './downsample.ts'

const period = { from: 1_000, to: 3_000 }
const series = fc
  .uniqueArray(
    fc.record({ timestamp: fc.integer({ min: period.from, max: period.to }), value: fc.integer({ min: -9, max: 9 }) }),
    { selector: ({ timestamp }) => timestamp, maxLength: 300 },
  )
  .map((samples) => samples.toSorted((a, b) => a.timestamp - b.timestamp))
const maxPoints = fc.integer({ min: 4, max: 60 })

function extremes(samples: readonly Sample[], grid: Grid): Sample[] {
  const gatherer = new BucketGatherer(grid)
  const columns = {
    timestamps: samples.map(({ timestamp }) => timestamp),
    sensors: samples.map(() => 's'),
    values: samples.map(({ value }) => value),
  }
  return extremesOf([...gatherer.addReadings(columns), ...gatherer.finish()])
}
const inBuckets = (samples: readonly Sample[], { origin, bucketMs }: Grid) =>
  Map.groupBy(samples, ({ timestamp }) => Math.floor((timestamp - origin) / bucketMs))
const span = (samples: readonly Sample[]) => {
  const values = samples.map(({ value }) => value)
  return [Math.min(...values), Math.max(...values)]
}
function expectChoice(chosen: readonly Sample[], samples: readonly Sample[]): void {
  // Readings, none of them made up, in their order, each once; the ends stay.
  expect(samples.filter((sample) => chosen.some(({ timestamp }) => timestamp === sample.timestamp))).toEqual(chosen)
  expect([chosen[0], chosen.at(-1)]).toEqual([samples[0], samples.at(-1)])
}

test('the extremes of every bucket stay, and the ends of the series; where nothing was is nothing', () => {
  fc.assert(
    fc.property(series, maxPoints, (samples, most) => {
      const grid = gridOf(period, most)
      const chosen = extremes(samples, grid)
      expect(chosen.length).toBeLessThanOrEqual(most)
      expectChoice(chosen, samples)
      const [before, after] = [inBuckets(samples, grid), inBuckets(chosen, grid)]
      expect([...after.keys()]).toEqual([...before.keys()])
      for (const [bucket, all] of before) expect(span(after.get(bucket)!)).toEqual(span(all))
    }),
  )
})

test('triangles keep the ends, and nothing lies in a gap', () => {
  fc.assert(
    fc.property(series, maxPoints, (samples, most) => {
      const found = extremes(samples, gridOfTriangles(period, most))
      const chosen = largestTriangles(found, most)
      expect(chosen.length).toBeLessThanOrEqual(most)
      expectChoice(chosen, samples)
    }),
  )
})

test('of few samples triangles keep all', () => {
  const samples = [1, 2, 3, 4].map((timestamp) => ({ timestamp, value: timestamp % 2 }))
  expect(largestTriangles(samples, 4)).toEqual(samples)
  expect(largestTriangles([], 4)).toEqual([])
})

test('a spike among a hundred thousand readings is seen by both', () => {
  const samples = Array.from({ length: 100_000 }, (_, timestamp) => ({
    timestamp,
    value: timestamp === 54_321 ? 1 : 0,
  }))
  const whole = { from: 0, to: 99_999 }
  const spike = { timestamp: 54_321, value: 1 }
  expect(extremes(samples, gridOf(whole, 100))).toContainEqual(spike)
  expect(largestTriangles(extremes(samples, gridOfTriangles(whole, 100)), 100)).toContainEqual(spike)
})
