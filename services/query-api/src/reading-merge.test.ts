import type { PageColumns, ReadingKey } from '@flasktoria/warehouse/queries-history'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { pagesInSlices } from './history-slices.ts'
import { compareBytes, ReadingMerge, type Point } from './reading-merge.ts'

const order = (a: ReadingKey, b: ReadingKey) => a.timestamp - b.timestamp || compareBytes(a.sensor, b.sensor)
const inOrder = (isReversed: boolean) => (a: ReadingKey, b: ReadingKey) => (isReversed ? order(b, a) : order(a, b))
const isBehind = (after: ReadingKey | undefined, isReversed: boolean) => (point: ReadingKey) =>
  !after || inOrder(isReversed)(point, after) > 0
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
const stored = fc.array(point, { maxLength: 60 })
const heard = fc.uniqueArray(
  point.filter(({ value }) => !Number.isNaN(value)),
  { maxLength: 20, selector: ({ timestamp, sensor }) => `${timestamp} ${sensor}` },
)

type Asked = { isReversed: boolean; after?: ReadingKey | undefined; limit: number }
type Slices = { pageRows: number; sliceMs: number }

/** Asked like an engine that holds at most `pageRows` rows. */
const pagesOf = (points: readonly Point[], question: Asked, slices: Slices) =>
  pagesInSlices(
    { vehicle: 'v', sensors: ['a'], from: 0, to: 40 * hourMs, ...question },
    slices,
    // oxlint-disable-next-line require-await -- as engines answer
    async function* (page) {
      const found = points
        .filter(({ timestamp }) => timestamp >= page.from && timestamp <= page.to)
        .filter(isBehind(page.after, question.isReversed))
        .toSorted((a, b) => inOrder(question.isReversed)(a, b) || a.value - b.value)
      yield columnsOf(found.slice(0, page.limit))
    },
  )

async function answer(points: readonly Point[], heardPoints: readonly Point[], question: Asked, slices: Slices) {
  const { isReversed, after, limit } = question
  const recent = heardPoints.filter(isBehind(after, isReversed)).toSorted(inOrder(isReversed))
  const merge = new ReadingMerge(recent, limit, isReversed)
  const merged: Point[] = []
  for await (const page of pagesOf(points, { ...question, limit: limit + 1 }, slices)) {
    merged.push(...pointsOf(merge.add(page)))
    if (merge.next) break
  }
  merged.push(...pointsOf(merge.finish()))
  return { merged, next: merge.next }
}

test('history and window are one, each reading once, from either end, page by page as in one answer', async () => {
  const sizes = fc.integer({ min: 1, max: 12 })
  const slicing = fc.record({ pageRows: sizes, sliceMs: fc.constantFrom(hourMs, hourMs + 1, 24 * hourMs, Infinity) })
  await fc.assert(
    fc.asyncProperty(stored, heard, sizes, slicing, async (history, recent, limit, slices) => {
      const numbers = history.filter(({ value }) => !Number.isNaN(value)).toSorted((a, b) => b.value - a.value)
      const byKey = new Map([...recent, ...numbers].map((one) => [`${one.timestamp} ${one.sensor}`, one]))
      const oldestFirst = [...byKey.values()].toSorted(order)
      for (const isReversed of [false, true]) {
        const expected = isReversed ? oldestFirst.toReversed() : oldestFirst
        const whole = { isReversed, limit: 1_000 }
        expect((await answer(history, recent, whole, slices)).merged).toEqual(expected)

        const paged: Point[] = []
        let after: ReadingKey | undefined
        do {
          const { merged, next } = await answer(history, recent, { isReversed, after, limit }, slices)
          expect(merged.length).toBeLessThanOrEqual(limit)
          paged.push(...merged)
          after = next
        } while (after)
        expect(paged).toEqual(expected)
      }
    }),
  )
})
