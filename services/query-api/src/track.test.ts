import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { metresFromLine, simplify } from './simplify.ts'
import { TrackBuilder, type TrackWishes } from './track.ts'

const gapMs = 300_000
type Step = { ms: number; north: number; east: number }
const step: fc.Arbitrary<Step> = fc.record({
  ms: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: gapMs }) }, fc.integer({ min: gapMs + 1, max: 1e7 })),
  north: fc.double({ min: -0.002, max: 0.002, noNaN: true }),
  east: fc.double({ min: -0.002, max: 0.002, noNaN: true }),
})
const drive = fc.array(step, { minLength: 1, maxLength: 300 }).map((steps) => {
  const at = { timestamp: 0, lat: 47, long: 9 }
  return steps.map(({ ms, north, east }) => {
    at.timestamp += ms
    at.lat += north
    at.long += east
    return { ...at }
  })
})

function build(fixes: readonly { timestamp: number; lat: number; long: number }[], wishes: Partial<TrackWishes>) {
  const builder = new TrackBuilder({ toleranceMetres: 10, maxPoints: 1_000, gapMs, ...wishes })
  for (const fix of fixes) if (!builder.push(fix)) break
  return builder.finish()
}

test('a track has at most the points asked for, and every fix before its cut lies within its tolerance', () => {
  fc.assert(
    fc.property(drive, fc.integer({ min: 2, max: 60 }), (fixes, maxPoints) => {
      const { segments, toleranceMetres, cutAt = Infinity } = build(fixes, { maxPoints })
      expect(segments.flat().length).toBeLessThanOrEqual(maxPoints)
      for (const fix of fixes) {
        if (fix.timestamp >= cutAt) break
        const segment = segments.find((points) => points.at(-1)!.timestamp >= fix.timestamp)!
        const after = segment.findIndex(({ timestamp }) => timestamp >= fix.timestamp)
        const before = segment[after - 1] ?? segment[after]!
        expect(metresFromLine(fix, before, segment[after]!)).toBeLessThanOrEqual(toleranceMetres * 1.001)
      }
    }),
  )
})

test('a track is drawn as finely as it has room for, and says how coarsely that is', () => {
  const tolerances = fc.constantFrom(0, 1, 10)
  fc.assert(
    fc.property(drive, tolerances, fc.integer({ min: 2, max: 40 }), (fixes, wished, maxPoints) => {
      const together = fixes.map((fix, second) => ({ ...fix, timestamp: second * 1_000 }))
      let [tolerance, off]: [number, number] = [wished, wished]
      let points = simplify(together, tolerance)
      while (points.length > maxPoints) {
        tolerance = tolerance === 0 ? 1 : 2 * tolerance
        off += tolerance
        points = simplify(points, tolerance)
      }
      const { segments, toleranceMetres } = build(together, { toleranceMetres: wished, maxPoints })
      expect({ segments, toleranceMetres }).toEqual({ segments: [points], toleranceMetres: off })
    }),
  )
})

test('a track has a gap where the vehicle was silent, and nowhere else', () => {
  fc.assert(
    fc.property(drive, (fixes) => {
      const { segments } = build(fixes, { toleranceMetres: 0 })
      const gaps = fixes.filter((fix, index) => index > 0 && fix.timestamp - fixes[index - 1]!.timestamp > gapMs)
      expect(segments.slice(1).map(([first]) => first)).toEqual(gaps)
    }),
  )
})

test('a track that was cut goes on where it was cut', () => {
  const fixes = Array.from({ length: 30 }, (_, index) => ({ timestamp: index * 1e6, lat: 47 + index, long: 9 }))
  const { segments, cutAt } = build(fixes, { maxPoints: 7 })
  expect(segments).toEqual(fixes.slice(0, 7).map((fix) => [fix]))
  expect(cutAt).toBe(fixes[7]!.timestamp)
})

test('a million fixes come to as many points as asked for, and are near them', () => {
  const builder = new TrackBuilder({ toleranceMetres: 0, maxPoints: 2_000, gapMs })
  for (let second = 0; second < 1_000_000; second++)
    builder.push({ timestamp: second * 1_000, lat: 47 + Math.sin(second / 50) / 100, long: 9 + second * 1e-5 })
  const { segments, toleranceMetres } = builder.finish()
  expect(segments).toHaveLength(1)
  expect(segments[0]!.length).toBeLessThanOrEqual(2_000)
  expect(segments[0]!.at(-1)!.timestamp).toBe(999_999_000)
  expect(toleranceMetres).toBeLessThan(5_000)
})
