import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ReadingRing } from './reading-ring.ts'

const everything = { from: -Infinity, to: Infinity }
const read = (ring: ReadingRing, vehicle: string, sensor: string, now: number) => {
  const { timestamps, values } = ring.read(vehicle, sensor, everything, now)
  return timestamps.map((timestamp, index) => [timestamp, values[index]])
}

test('it remembers what a list of the newest readings would, however they are mixed', () => {
  const push = fc.record({
    sensor: fc.constantFrom('a', 'b', 'c'),
    timestamp: fc.integer({ min: 0, max: 50 }),
    value: fc.integer(),
    pauseMs: fc.integer({ min: 0, max: 30 }),
  })
  fc.assert(
    fc.property(fc.array(push, { maxLength: 200 }), fc.integer({ min: 1, max: 60 }), (pushes, maxReadings) => {
      const ring = new ReadingRing({ retentionMs: 500, maxReadings })
      let now = 0
      const all = pushes.map((one) => ({ ...one, arrivedAt: (now += one.pauseMs) }))
      for (const { sensor, timestamp, value, arrivedAt } of all) ring.push('v', sensor, timestamp, value, arrivedAt)
      const kept = all.slice(-maxReadings).filter(({ arrivedAt }) => arrivedAt >= now - 500)
      expect(ring.size).toBeLessThanOrEqual(maxReadings)
      for (const sensor of ['a', 'b', 'c']) {
        const latest = new Map(kept.filter((one) => one.sensor === sensor).map((one) => [one.timestamp, one.value]))
        expect(read(ring, 'v', sensor, now)).toEqual([...latest].toSorted(([a], [b]) => b - a))
      }
    }),
  )
})

test('it grows with what arrives, keeps every series whole, and counts what had to leave', () => {
  const ring = new ReadingRing({ retentionMs: 1_000, maxReadings: 50_000 })
  for (let index = 0; index < 60_000; index++) ring.push(`v${index % 7}`, 's', index, index / 2, index / 1_000)
  expect(ring.size).toBe(50_000)
  expect(ring.crowdedOut).toBe(10_000)
  const rows = read(ring, 'v3', 's', 60)
  expect(rows[0]).toEqual([59_993, 59_993 / 2])
  expect(rows).toHaveLength(
    Array.from({ length: 50_000 }, (_, index) => index + 10_000).filter((n) => n % 7 === 3).length,
  )
})

test('readings leave by the age of their arrival, without any other reading arriving', () => {
  const ring = new ReadingRing({ retentionMs: 100, maxReadings: 10 })
  ring.push('v', 's', 1, 1, 0)
  expect(read(ring, 'v', 's', 100)).toEqual([[1, 1]])
  expect(read(ring, 'v', 's', 101)).toEqual([])
})

test('a series that comes back after it was forgotten starts anew', () => {
  const ring = new ReadingRing({ retentionMs: 100, maxReadings: 10 })
  ring.push('v', 's', 1, 1, 0)
  ring.push('v', 's', 2, 2, 200)
  expect(read(ring, 'v', 's', 200)).toEqual([[2, 2]])
})
