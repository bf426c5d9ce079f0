import type { PageColumns, ReadingKey } from '@flasktoria/warehouse/queries-history'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { pagesInSlices } from './history-slices.ts'
import { compareBytes, ReadingMerge, type Point } from './reading-merge.ts'

const order = (a: ReadingKey, b: ReadingKey) => a.timestamp - b.timestamp || compareBytes(a.sensor, b.sensor)
const isBehind = (after: ReadingKey | undefined) => (point: ReadingKey) => !after || order(point, after) > 0
const columnsOf = (points: readonly Point[]): PageColumns => ({
  timestamps: points.map(({ timestamp }) => timestamp),
  sensors: points.map(({ sensor }) => sensor),
  values: points.map(({ value }) => value),
})
const pointsOf = ({ timestamps, sensors, values }: PageColumns): Point[] =>
  timestamps.map((timestamp, index) => ({ timestamp, sensor: sensors[index]!, value: values[index]! }))

const hourMs = 3_600_000
const time = fc.integer({ min: 0, max: 40 }).map((n) => n * hourMs)
const point = fc.oneof(
  fc.record({ timestamp: time, sensor: fc.constantFrom('a', '｡', '😀'), value: fc.constantFrom(1, 2) }),
  fc.record({ timestamp: time, sensor: fc.constant('no number'), value: fc.constant(Number.NaN) }),
)
const stored = fc
  .array(point, { maxLength: 60 })
  .map((points) => points.toSorted((a, b) => order(a, b) || a.value - b.value))
const heard = fc
  .uniqueArray(
    point.filter(({ value }) => !Number.isNaN(value)),
    { maxLength: 20, selector: ({ timestamp, sensor }) => `${timestamp} ${sensor}` },
  )
  .map((points) => points.toSorted(order))

type Slices = { pageRows: number; sliceMs: number }

/** Asked like an engine that holds at most `pageRows` rows. */
const pagesOf = (points: readonly Point[], after: ReadingKey | undefined, limit: number, slices: Slices) =>
  pagesInSlices(
    { vehicle: 'v', sensors: ['a'], from: 0, to: 40 * hourMs, after, limit },
    slices,
    // oxlint-disable-next-line require-await -- as engines answer
    async function* (page) {
      const found = points
        .filter(({ timestamp }) => timestamp >= page.from && timestamp <= page.to)
        .filter(isBehind(page.after))
      yield columnsOf(found.slice(0, page.limit))
    },
  )

async function answer(
  points: readonly Point[],
  recent: readonly Point[],
  limit: number,
  slices: Slices,
  after?: ReadingKey,
) {
  const merge = new ReadingMerge(recent.filter(isBehind(after)), limit)
  const merged: Point[] = []
  for await (const page of pagesOf(points, after, limit + 1, slices)) {
    merged.push(...pointsOf(merge.add(page)))
    if (merge.next) break
  }
  merged.push(...pointsOf(merge.finish()))
  return { merged, next: merge.next }
}

test('history and window are one, each reading once, page by page as in one answer', async () => {
  const sizes = fc.integer({ min: 1, max: 12 })
  const slicing = fc.record({ pageRows: sizes, sliceMs: fc.constantFrom(hourMs, 24 * hourMs, Infinity) })
  await fc.assert(
    fc.asyncProperty(stored, heard, sizes, slicing, async (history, recent, limit, slices) => {
      const numbers = history.filter(({ value }) => !Number.isNaN(value))
      const byKey = new Map([...recent, ...numbers.toReversed()].map((one) => [`${one.timestamp} ${one.sensor}`, one]))
      const expected = [...byKey.values()].toSorted(order)
      expect((await answer(history, recent, 1_000, slices)).merged).toEqual(expected)

      const paged: Point[] = []
      let after: ReadingKey | undefined
      do {
        const { merged, next } = await answer(history, recent, limit, slices, after)
        expect(merged.length).toBeLessThanOrEqual(limit)
        paged.push(...merged)
        after = next
      } while (after)
      expect(paged).toEqual(expected)
    }),
  )
})
