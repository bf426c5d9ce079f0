import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { metresFromLine, simplify } from './simplify.ts'

const fix = fc
  .record({ lat: fc.double({ min: 47, max: 47.2, noNaN: true }), long: fc.double({ min: 9, max: 9.2, noNaN: true }) })
  .map((place) => ({ timestamp: 0, ...place }))
const fixes = fc.array(fix, { maxLength: 80 }).map((all) => all.map((one, timestamp) => ({ ...one, timestamp })))
const tolerance = fc.double({ min: 0, max: 5_000, noNaN: true })

test('no fix lies further from the line than the tolerance, the ends stay, and the order too', () => {
  fc.assert(
    fc.property(fixes, tolerance, (all, metres) => {
      const kept = simplify(all, metres)
      expect(kept[0]).toBe(all[0])
      expect(kept.at(-1)).toBe(all.at(-1))
      for (const one of all) {
        const after = kept.findIndex(({ timestamp }) => timestamp >= one.timestamp)
        if (kept[after] === one) continue
        expect(metresFromLine(one, kept[after - 1]!, kept[after]!)).toBeLessThanOrEqual(metres)
      }
    }),
  )
})

test('a bend is left out within the tolerance, and kept beyond it', () => {
  const bend = [0, 0.001, 0].map((north, index) => ({ timestamp: index, lat: 47 + north, long: 9 + index / 100 }))
  const metres = metresFromLine(bend[1]!, bend[0]!, bend[2]!)
  expect(metres).toBeCloseTo(111.2, 1)
  expect(simplify(bend, metres)).toEqual([bend[0], bend[2]])
  expect(simplify(bend, metres - 0.1)).toEqual(bend)
})

test('a straight way is its two ends, whatever meridian it crosses', () => {
  const eastward = Array.from({ length: 21 }, (_, index) => ({
    timestamp: index,
    lat: 10,
    long: 179.9 + index / 100 - (index > 10 ? 360 : 0),
  }))
  expect(simplify(eastward, 1)).toEqual([eastward[0], eastward[20]])
  expect(simplify(eastward.toReversed(), 1)).toEqual([eastward[20], eastward[0]])
})

test('a distance from the line is one in metres', () => {
  const at = (lat: number, long: number) => ({ timestamp: 0, lat, long })
  expect(metresFromLine(at(0.001, 180), at(0, 179), at(0, -179))).toBeCloseTo(111.2, 1)
  expect(metresFromLine(at(60.001, 9), at(60, 8), at(60, 8))).toBeCloseTo(55_597.6, -1)
})
