/** How fresh the data is of which one ingest instance knows. Null: it does not know, or has no such thing. */
export type Feed = {
  /** The same after a restart, so that an instance replaces itself. */
  instance: string
  /** Records that wait in its partitions. */
  kafkaLagRecords: number | null
  /** For how long the oldest of them has waited; 0: none waits. */
  kafkaLagMs: number | null
  /** The newest event time that it appended, epoch milliseconds. */
  newestEventTs: number | null
  /** For how long its oldest record has waited to get into the history; 0: none waits. */
  warehouseLagMs: number | null
}

/** `reportedAt` is in epoch milliseconds of the clock of whoever reads: clocks of other machines do not matter. */
export type FeedReport = Feed & { reportedAt: number }

/** What the ingest instances say of themselves, for the hubs. */
export interface Feeds {
  /** Takes the place of what the same instance reported before. Rejects with `LogUnavailable`. */
  report(feed: Feed): Promise<void>
  /** The last report of each instance that is not too old, in no order. Rejects with `LogUnavailable`. */
  read(): Promise<FeedReport[]>
  close(): Promise<void>
}

/** Some reports are made every two seconds: this many may be lost before an instance counts as gone. */
export const feedRetentionMs = 15_000
/** Far more than anybody runs. */
export const maxFeedInstances = 1_000
export const maxFeedTextLength = 2_000

type Summary = Omit<Feed, 'instance'>

const amounts = ['kafkaLagRecords', 'kafkaLagMs', 'warehouseLagMs'] as const

/**
 * The whole of it: records add up, of everything else the worst instance counts, or the newest event. Null where no instance
 * knows. What has waited at the time of a report has waited longer by now, until a report says otherwise.
 */
export function summarise(reports: readonly FeedReport[], nowMs: number): Summary {
  const sum: Summary = { kafkaLagRecords: null, kafkaLagMs: null, newestEventTs: null, warehouseLagMs: null }
  for (const { reportedAt, kafkaLagRecords, kafkaLagMs, newestEventTs, warehouseLagMs } of reports) {
    const sinceMs = Math.max(0, nowMs - reportedAt)
    if (kafkaLagRecords !== null) sum.kafkaLagRecords = (sum.kafkaLagRecords ?? 0) + kafkaLagRecords
    sum.kafkaLagMs = greater(sum.kafkaLagMs, grown(kafkaLagMs, sinceMs))
    sum.newestEventTs = greater(sum.newestEventTs, newestEventTs)
    sum.warehouseLagMs = greater(sum.warehouseLagMs, grown(warehouseLagMs, sinceMs))
  }
  return sum
}

const greater = (one: number | null, other: number | null): number | null =>
  one === null || other === null ? (one ?? other) : Math.max(one, other)

const grown = (lagMs: number | null, sinceMs: number): number | null => (lagMs ? lagMs + sinceMs : lagMs)

export const formatFeed = ({ instance, kafkaLagRecords, kafkaLagMs, newestEventTs, warehouseLagMs }: Feed): string =>
  JSON.stringify({ instance, kafkaLagRecords, kafkaLagMs, newestEventTs, warehouseLagMs } satisfies Feed)

const isMeasure = (value: unknown) => value === null || Number.isSafeInteger(value)

/** Undefined: not a report of ours. */
export function parseFeed(text: string): Feed | undefined {
  try {
    const feed = JSON.parse(text) as Feed
    const isOurs =
      typeof feed.instance === 'string' &&
      [feed.newestEventTs, ...amounts.map((name) => feed[name])].every(isMeasure) &&
      amounts.every((name) => (feed[name] ?? 0) >= 0)
    return isOurs ? feed : undefined
  } catch {
    return undefined
  }
}
