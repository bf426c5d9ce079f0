import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatFeed, parseFeed, summarise, type Feed } from './feed.ts'
import { feedOf } from './feeds.conformance.ts'

const measure = fc.option(fc.maxSafeNat())
const feed: fc.Arbitrary<Feed> = fc.record({
  instance: fc.string(),
  kafkaLagRecords: measure,
  kafkaLagMs: measure,
  newestEventTs: measure,
  warehouseLagMs: measure,
})
const at = (reportedAt: number, more: Partial<Feed>) => ({ ...feedOf('a', more), reportedAt })

test('a report comes out as it went in, and whatever else comes is none and harms nobody', () => {
  fc.assert(
    fc.property(feed, (one) => {
      expect(parseFeed(formatFeed(one))).toEqual(one)
    }),
  )
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (garbage) => {
      expect(parseFeed(garbage)).toBeUndefined()
    }),
  )
})

test('nobody reports: nothing is known', () => {
  const nothing = { kafkaLagRecords: null, kafkaLagMs: null, newestEventTs: null, warehouseLagMs: null }
  expect(summarise([], 1)).toEqual(nothing)
  expect(summarise([at(1, {})], 1)).toEqual(nothing)
})

test('records add up, the worst wait counts, and the newest event', () => {
  const reports = [
    at(10, { kafkaLagRecords: 3, kafkaLagMs: 50, newestEventTs: 7, warehouseLagMs: 0 }),
    at(10, { kafkaLagRecords: 4, kafkaLagMs: 0, newestEventTs: 9 }),
    at(10, { warehouseLagMs: 800 }),
  ]
  expect(summarise(reports, 10)).toEqual({ kafkaLagRecords: 7, kafkaLagMs: 50, newestEventTs: 9, warehouseLagMs: 800 })
})

test('what waits goes on waiting after the report, and what does not wait does not begin to', () => {
  const reports = [at(1_000, { kafkaLagMs: 50, warehouseLagMs: 0 })]
  expect(summarise(reports, 1_700)).toMatchObject({ kafkaLagMs: 750, warehouseLagMs: 0 })
  expect(summarise(reports, 900)).toMatchObject({ kafkaLagMs: 50 })
})
