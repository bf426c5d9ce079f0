import { distanceMetres } from '@flasktoria/contracts/distance'
import type { Fix } from '@flasktoria/warehouse/queries-positions'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { TripDetector, type Trip, type TripWishes } from './trips.ts'

const minute = 60_000
const wishes: TripWishes = { radiusMetres: 50, stopMs: 2 * minute, parkMs: 15 * minute, gapMs: 5 * minute }
const metresNorth = 1 / 111_195

function detect(fixes: readonly Fix[]): Trip[] {
  const detector = new TripDetector(wishes)
  return [...fixes.map((fix) => detector.push(fix)), detector.finish()].filter((trip) => trip !== undefined)
}

/** Drives north at 10 m/s and stands, every ten seconds a fix; `noise` moves each of them, in metres. */
function drive(plan: readonly ['drive' | 'stand' | 'silent', minutes: number][], noise = () => 0): Fix[] {
  const fixes: Fix[] = []
  let [timestamp, metres] = [0, 0]
  for (const [what, minutes] of plan)
    for (let step = 0; step < minutes * 6; step++) {
      timestamp += 10_000
      if (what === 'drive') metres += 100
      if (what !== 'silent')
        fixes.push({ timestamp, lat: 47 + (metres + noise()) * metresNorth, long: 9 + noise() * metresNorth })
    }
  return fixes
}

const noise = fc.array(fc.double({ min: -15, max: 15, noNaN: true }), { minLength: 50, maxLength: 50 }).map((all) => {
  let next = 0
  return () => all[next++ % all.length]!
})

test('a trip has its stops, its way and its time, whatever the noise', () => {
  const plan = [
    ['stand', 20],
    ['drive', 10],
    ['stand', 5],
    ['drive', 20],
    ['stand', 20],
  ] as const
  fc.assert(
    fc.property(noise, (some) => {
      const trips = detect(
        drive(
          plan.map((part) => [...part]),
          some,
        ),
      )
      expect(trips).toHaveLength(1)
      const [{ start, end, hasEnded, distanceMetres: metres, movingMs, stops }] = trips as [Trip]
      expect(hasEnded).toBe(true)
      expect(Math.abs(start.timestamp - 20 * minute)).toBeLessThan(minute / 2)
      expect(Math.abs(end.timestamp - 55 * minute)).toBeLessThan(minute / 2)
      expect(Math.abs(metres - 18_000)).toBeLessThan(1_500)
      expect(Math.abs(movingMs - 30 * minute)).toBeLessThan(minute)
      expect(stops).toHaveLength(1)
      expect(Math.abs(stops[0]!.to - stops[0]!.from - 5 * minute)).toBeLessThan(minute)
    }),
  )
})

test('a vehicle that stands drives nowhere, whatever its receiver says now and then', () => {
  fc.assert(
    fc.property(noise, fc.integer({ min: 2, max: 20 }), (some, every) => {
      const fixes = drive([['stand', 60]], some)
      const wrong = fixes.map((fix, index) => (index % every === 0 ? { ...fix, lat: fix.lat + 0.01 } : fix))
      expect(detect(wrong.slice(1))).toEqual([])
    }),
  )
})

test('waiting in traffic is no stop, and a few minutes are no end', () => {
  const [trip, ...others] = detect(
    drive([
      ['drive', 5],
      ['stand', 1],
      ['drive', 5],
      ['stand', 10],
      ['drive', 5],
    ]),
  )
  expect(others).toEqual([])
  expect(trip!.stops).toHaveLength(1)
  expect(trip!.hasEnded).toBe(false)
})

test('silence ends a trip where it was last seen', () => {
  const fixes = drive([
    ['drive', 5],
    ['silent', 30],
    ['drive', 5],
  ])
  const trips = detect(fixes)
  expect(trips.map(({ end, hasEnded }) => [end, hasEnded])).toEqual([
    [fixes[29], true],
    [fixes.at(-1), false],
  ])
  expect(trips[1]!.start).toBe(fixes[30])
})

test('a few fixes an hour are enough for a trip', () => {
  const fixes = drive([['drive', 40]]).filter((_, index) => index % 12 === 0)
  const [trip] = detect(fixes)
  expect(trip!.distanceMetres).toBeCloseTo(distanceMetres(fixes[0]!, fixes.at(-1)!), 0)
})

test('many fixes within the radius are a way too, if the vehicle did not stand there', () => {
  const fixes = Array.from({ length: 600 }, (_, second) => ({
    timestamp: second * 1_000,
    lat: 47 + second * metresNorth,
    long: 9 + (second % 2) * 10 * metresNorth,
  }))
  const [trip] = detect(fixes)
  const driven = fixes.slice(fixes.indexOf(trip!.start))
  const way = driven.slice(1).reduce((sum, fix, index) => sum + distanceMetres(driven[index]!, fix), 0)
  expect(trip!.distanceMetres).toBeCloseTo(way, 0)
})

test('trips follow one another, within the fixes, and lead somewhere', () => {
  const part = fc.tuple(
    fc.constantFrom('drive' as const, 'stand' as const, 'silent' as const),
    fc.integer({ min: 1, max: 30 }),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), noise, (plan, some) => {
      const fixes = drive(plan, some)
      let time = -Infinity
      for (const { start, end, distanceMetres: metres, movingMs, stops } of detect(fixes)) {
        expect(start.timestamp).toBeGreaterThanOrEqual(time)
        for (const stop of stops) {
          expect(stop.from).toBeGreaterThanOrEqual(start.timestamp)
          expect(stop.to - stop.from).toBeGreaterThanOrEqual(wishes.stopMs)
        }
        time = end.timestamp
        expect(movingMs).toBeGreaterThan(0)
        expect(metres).toBeGreaterThanOrEqual(4 * wishes.radiusMetres)
      }
    }),
  )
})
