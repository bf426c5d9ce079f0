import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import type { AnomaliesQuestion, AnomalyKey } from '@flasktoria/warehouse/queries-anomalies'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyOfAnomaly } from './anomalies.ts'
import { anomalyPages } from './anomaly-pages.ts'
import { compareBytes } from './reading-merge.ts'

const never = new AbortController().signal
const newestFirst = (a: AnomalyKey, b: AnomalyKey) =>
  b.timestamp - a.timestamp ||
  compareBytes(a.vehicle, b.vehicle) ||
  a.anomalyId - b.anomalyId ||
  compareBytes(a.detectionTime, b.detectionTime)
const inOrder = (isReversed: boolean) => (a: AnomalyKey, b: AnomalyKey) => (isReversed ? -1 : 1) * newestFirst(a, b)

/** Answers as the warehouse does, out of a list. */
const historyOf = (stored: readonly AnomalyFacts[]) => ({
  anomalies: async ({
    isReversed = false,
    after,
    limit = 1e9,
  }: Omit<AnomaliesQuestion, 'limit'> & { limit?: number }) =>
    stored
      .filter((one) => after === undefined || inOrder(isReversed)(one, after) > 0)
      .toSorted(inOrder(isReversed))
      .slice(0, limit),
})

const fact = (source: string) =>
  fc.record({
    vehicle: fc.constantFrom('v', '😀', '\uffee'),
    timestamp: fc.nat(4),
    anomalyId: fc.nat(2),
    detectionTime: fc.constantFrom('', 'a'),
    confirmationTime: fc.constant(source),
  })
const everything = { from: 0, to: 1e15 }

async function walk(
  stored: readonly AnomalyFacts[],
  heard: readonly AnomalyFacts[],
  limit: number,
  isReversed = false,
) {
  const recent = heard.toSorted(inOrder(isReversed))
  const found: AnomalyFacts[] = []
  for (;;) {
    const question = { ...everything, limit, isReversed, after: found.at(-1) }
    let isCut = false
    for await (const { anomalies, hasMore } of anomalyPages({ history: historyOf(stored) }, question, recent, never)) {
      found.push(...anomalies)
      isCut = hasMore
    }
    if (!isCut) return found
  }
}

test('page by page, from either end, history and window give each anomaly once, in order, and the text of the history', async () => {
  const both = fc.tuple(fc.array(fact('history')), fc.array(fact('window')), fc.integer({ min: 1, max: 4 }))
  await fc.assert(
    fc.asyncProperty(both, async ([stored, heard, limit]) => {
      const found = await walk(stored, heard, limit)
      expect(found).toEqual(found.toSorted(newestFirst))
      expect(await walk(stored, heard, limit, true)).toEqual(found.toReversed())
      const names = found.map((one) => keyOfAnomaly(one))
      expect(new Set(names).size).toBe(names.length)
      for (const one of [...stored, ...heard]) {
        const { confirmationTime: _, ...key } = one
        const isStored = stored.some((other) => newestFirst(one, other) === 0)
        expect(found).toContainEqual({ ...key, confirmationTime: isStored ? 'history' : 'window' })
      }
    }),
  )
})

test('an answer of many rows is asked for in parts, and is one', async () => {
  const one = (timestamp: number, confirmationTime: string) => ({
    vehicle: 'v',
    anomalyId: 1,
    detectionTime: '',
    timestamp,
    confirmationTime,
  })
  const stored = Array.from({ length: 12_000 }, (_, index) => one(index * 2, 'history'))
  const recent = Array.from({ length: 100 }, (_, index) => one(23_000 - index * 200, 'window'))
  const found = await walk(stored, recent, 1_000_000)
  expect(found).toHaveLength(12_000)
  const odd = recent.map(({ timestamp }) => one(timestamp + 1, 'window'))
  expect(await walk(stored, odd, 1_000_000)).toHaveLength(12_100)
  expect(await walk(stored, odd, 7_000)).toHaveLength(12_100)
})
