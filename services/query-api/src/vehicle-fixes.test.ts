import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeLatest } from './fleet-at.ts'
import { mergeFixes } from './vehicle-fixes.ts'

const fixesOf = (source: number) =>
  fc
    .uniqueArray(fc.nat(40), { maxLength: 20 })
    .map((times) => times.toSorted((a, b) => a - b).map((timestamp) => ({ timestamp, lat: source, long: 0 })))

async function* inTurn<T>(items: readonly T[]) {
  for (const item of items) yield await Promise.resolve(item)
}

test('of history and window each position comes once, in order of time, and the history counts', async () => {
  await fc.assert(
    fc.asyncProperty(fixesOf(1), fixesOf(2), async (history, window) => {
      const merged = await Array.fromAsync(mergeFixes(inTurn(history), window))
      const expected = new Map([...window, ...history].map((fix) => [fix.timestamp, fix]))
      expect(merged).toEqual([...expected.values()].toSorted((a, b) => a.timestamp - b.timestamp))
    }),
  )
})

test('of each vehicle the newer position comes, in the byte order of ids', () => {
  const fix = (vehicle: string, timestamp: number, lat: number) => ({ vehicle, timestamp, lat, long: 0 })
  const history = [fix('a', 5, 1), fix('b', 5, 1), fix('\u{1f69a}', 5, 1), fix('\uffee', 5, 1)]
  const window = [fix('b', 6, 2), fix('a', 4, 2), fix('\uffee', 5, 2)]
  expect(mergeLatest(history, window).map(({ vehicle, lat }) => [vehicle, lat])).toEqual([
    ['a', 1],
    ['b', 2],
    ['\uffee', 1],
    ['\u{1f69a}', 1],
  ])
})
