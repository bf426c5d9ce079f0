import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Feed, Feeds } from './feed.ts'

/** Two handles on the same reports, as two processes would have them, and both with the same retention. */
export type FeedsPair = { first: Feeds; second: Feeds }

export const feedOf = (instance: string, more: Partial<Feed> = {}): Feed => ({
  instance,
  kafkaLagRecords: null,
  kafkaLagMs: null,
  newestEventTs: null,
  warehouseLagMs: null,
  ...more,
})

const instancesOf = async (feeds: Feeds) => (await feeds.read()).map(({ instance }) => instance).toSorted()

/** What every store of feed reports promises. */
export function feedsConformance(open: (options: { retentionMs?: number }) => Promise<FeedsPair>): void {
  describe('feed reports', () => {
    let opened: FeedsPair[]
    const openAll = async (options: { retentionMs?: number } = {}) => {
      const feeds = await open(options)
      opened.push(feeds)
      return feeds
    }
    beforeEach(() => {
      opened = []
    })
    afterEach(async () => {
      await Promise.all(opened.flatMap(({ first, second }) => [first.close(), second.close()]))
    })

    test('there are none before anybody reported', async () => {
      const { first } = await openAll()
      expect(await first.read()).toEqual([])
    })

    test('what an instance reports is read elsewhere, with the time of the report', async () => {
      const { first, second } = await openAll()
      const feed = { instance: 'a', kafkaLagRecords: 7, kafkaLagMs: 0, newestEventTs: 1.8e12, warehouseLagMs: null }
      const before = Date.now()
      await first.report(feed)
      const [report, ...others] = await second.read()
      expect(others).toEqual([])
      expect(report).toEqual({ ...feed, reportedAt: expect.any(Number) })
      expect(report!.reportedAt).toBeGreaterThan(before - 1_000)
      expect(report!.reportedAt).toBeLessThanOrEqual(Date.now())
    })

    test('each instance has one report, its last', async () => {
      const { first, second } = await openAll()
      await first.report(feedOf('a', { kafkaLagRecords: 1 }))
      await second.report(feedOf('b', { kafkaLagRecords: 2 }))
      await first.report(feedOf('a', { kafkaLagRecords: 3 }))
      const reports = (await first.read()).map(({ instance, kafkaLagRecords }) => [instance, kafkaLagRecords] as const)
      expect(new Map(reports)).toEqual(
        new Map([
          ['a', 3],
          ['b', 2],
        ]),
      )
      expect(reports).toHaveLength(2)
    })

    test('any name is a name', async () => {
      const { first } = await openAll()
      const names = ['__proto__', 'tab\t line\n "quote" é 🚚', ''].toSorted()
      for (const name of names) await first.report(feedOf(name))
      expect(await instancesOf(first)).toEqual(names)
    })

    test('an instance that no longer reports is gone, and those that do stay', async () => {
      const { first, second } = await openAll({ retentionMs: 300 })
      await first.report(feedOf('gone'))
      const seen = async () => {
        await second.report(feedOf('here'))
        return instancesOf(first)
      }
      expect(await seen()).toEqual(['gone', 'here'])
      await expect.poll(seen, { timeout: 5_000, interval: 20 }).toEqual(['here'])
    })
  })
}
