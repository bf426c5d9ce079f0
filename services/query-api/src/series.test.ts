import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeSeries, Series } from './series.ts'
import { seriesBody, seriesJson } from './series-json.ts'

const seriesOf = (rows: readonly (readonly [number, number])[]) => {
  const series = new Series()
  for (const [timestamp, value] of rows) series.push(timestamp, value)
  return series
}
const rowsOf = ({ timestamps, values }: Series) => timestamps.map((timestamp, index) => [timestamp, values[index]])
const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.double({ noNaN: true, noDefaultInfinity: true })))

/** The first reading of each timestamp, newest first. */
const model = (all: readonly (readonly [number, number])[]) =>
  [...new Map(all.toReversed()).entries()].toSorted(([a], [b]) => b - a)

test('a series stands newest first with one reading a timestamp: the one pushed first', () => {
  fc.assert(
    fc.property(rows, (all) => {
      expect(rowsOf(seriesOf(all).newestFirst())).toEqual(model(all))
    }),
  )
})

test('a merge loses nothing, repeats nothing, and believes the first', () => {
  fc.assert(
    fc.property(rows, rows, (first, second) => {
      const merged = mergeSeries(seriesOf(first).newestFirst(), seriesOf(second).newestFirst())
      expect(rowsOf(merged)).toEqual(model([...first, ...second]))
    }),
  )
})

test('the JSON text reads back to the last digit, under any sensor id', () => {
  const ids = fc.uniqueArray(fc.string({ minLength: 1, unit: 'grapheme' }), { maxLength: 4 })
  fc.assert(
    fc.property(ids, rows, (sensors, all) => {
      const series = seriesOf(all)
      const text = [...seriesJson(new Map(sensors.map((sensor) => [sensor, series])))].join('')
      const values = all.map(([timestamp, value]) => ({ timestamp, value: value + 0 }))
      expect(Object.entries(JSON.parse(text))).toEqual(
        Object.entries(Object.fromEntries(sensors.map((s) => [s, values]))),
      )
    }),
  )
})

test('a long answer is made as it is read, in pieces of bounded size', async () => {
  const series = seriesOf(Array.from({ length: 50_000 }, (_, index) => [50_000 - index, 0.1 * index] as const))
  const body = seriesBody(new Map([['a', series]]))
  expect(body).toBeInstanceOf(ReadableStream)
  expect(await new Response(body).json()).toEqual({
    a: series.timestamps.map((timestamp, index) => ({ timestamp, value: series.values[index] })),
  })
  for (const chunk of seriesJson(new Map([['a', series]]))) expect(chunk.length).toBeLessThan(1_000_000)
})
