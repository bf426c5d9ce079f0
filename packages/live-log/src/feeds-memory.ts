import { feedRetentionMs, maxFeedInstances, type Feeds, type FeedReport } from './feed.ts'

export type MemoryFeedsOptions = {
  /** How long a report counts, and how many instances do. */
  retentionMs?: number
  maxInstances?: number
  now?: () => number
}

/** The reports of the ingest instances of one process. */
export function createMemoryFeeds({
  retentionMs = feedRetentionMs,
  maxInstances = maxFeedInstances,
  now = Date.now,
}: MemoryFeedsOptions = {}): Feeds {
  /** By the last report, oldest first. */
  const reports = new Map<string, FeedReport>()

  function forget(): void {
    for (const [instance, { reportedAt }] of reports) {
      if (reportedAt >= now() - retentionMs && reports.size <= maxInstances) break
      reports.delete(instance)
    }
  }

  return {
    async report(feed) {
      reports.delete(feed.instance)
      reports.set(feed.instance, { ...feed, reportedAt: now() })
      forget()
    },
    async read() {
      forget()
      return [...reports.values()]
    },
    close: async () => {},
  }
}
