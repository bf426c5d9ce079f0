import type { Fill } from '@flasktoria/contracts/rest-v1-history'
import { expect, test } from 'vitest'
import { BucketGatherer } from './bucket-gatherer.ts'
import { IntervalRows, placesBetween } from './interval-rows.ts'

const readings = { timestamps: [0, 4, 9, 21], sensors: ['a', 'a', 'b', 'a'], values: [1, 5, 7, 3] }

function rows(fill: Fill) {
  const gatherer = new BucketGatherer({ origin: 0, bucketMs: 10 })
  const buckets = [...gatherer.addReadings(readings), ...gatherer.finish()]
  const interval = new IntervalRows(['min', 'max', 'avg', 'count', 'last'], fill, placesBetween(['a', 'b'], 0, 30, 10))
  return [...interval.add(buckets), ...interval.finish()]
}
const found = { a0: ['a', 0, 1, 5, 3, 2, 5], b0: ['b', 0, 7, 7, 7, 1, 7], a20: ['a', 20, 3, 3, 3, 1, 3] }
const nothing = (sensor: string, start: number) => [sensor, start, null, null, null, 0, null]

test('each interval with readings has its sums', () => {
  expect(rows('none')).toEqual([found.a0, found.b0, found.a20])
})

test('empty intervals have nothing, and count none', () => {
  expect(rows('null')).toEqual([
    found.a0,
    found.b0,
    nothing('a', 10),
    nothing('b', 10),
    found.a20,
    nothing('b', 20),
    nothing('a', 30),
    nothing('b', 30),
  ])
})

test('empty intervals have what the one before has, and count none', () => {
  expect(rows('previous')).toEqual([
    found.a0,
    found.b0,
    ['a', 10, 1, 5, 3, 0, 5],
    ['b', 10, 7, 7, 7, 0, 7],
    found.a20,
    ['b', 20, 7, 7, 7, 0, 7],
    ['a', 30, 3, 3, 3, 0, 3],
    ['b', 30, 7, 7, 7, 0, 7],
  ])
})
