import type { Decoded, TopicProfile } from './topic-profile.ts'

/** One record as it came, wherever it came from. */
export type RawRecord = {
  topic: string
  /** How the values of this topic are written, and what they mean. */
  profile: TopicProfile
  partition: number
  /** Counts up inside a partition, with holes. A double: no partition lives to see 2^53 records. */
  offset: number
  /** What keeps the records of one vehicle in one partition when they are written to Kafka. The old producers had none. */
  key?: string
  /** What came with it from Kafka; absent where it never was there. */
  readonly attached?: { key: Buffer | null; headers: Readonly<Record<string, HeaderValue>> }
  /** Null: a tombstone. */
  value: Buffer | null
  /** What its profile reads in it, without a copy of the value; absent where the value is there anyway. */
  decode?(): Decoded
  /** When the producer or the broker stamped it, epoch ms. */
  timestamp: number
}

/** A header's name may stand more than once. */
export type HeaderValue = Buffer | string | (Buffer | string)[] | undefined

/** The next record to read of a partition. */
export type Position = { topic: string; partition: number; offset: number }

export interface RecordConsumer {
  /**
   * Takes the next records, in order inside each partition. The source waits for it: a consumer that takes its time pauses
   * the source, and stays a member of its group meanwhile. Rejecting means that nothing of the batch was accepted: it comes
   * again. `signal` aborts when the batch is no longer ours (its partition moved, the source stops): then give up, and reject.
   */
  accept(records: readonly RawRecord[], signal: AbortSignal): Promise<void>
  /** How many batches, of different partitions, it takes side by side; absent: one after the other. */
  readonly atOnce?: number
  /** Whatever is not committed comes again, here or elsewhere: forget it. A batch in hand was given up before. */
  rewind?(): void
  /**
   * How far the records are safe. With it the source commits these positions; without, whatever was accepted. Called at most
   * once a second, and last when the source stops.
   */
  safePositions?(): Iterable<Position>
}

/** What operators want to know of a source. */
export type SourceState = {
  /** Why nothing arrives just now; undefined when all is well. */
  failing: string | undefined
  /** Records that wait for this instance. Null: unknown, or nothing can wait. */
  lagRecords: number | null
  /** For how long the oldest of them has waited; 0: none waits. */
  lagMs: number | null
}

export interface RecordSource {
  /**
   * Hands records over until `signal` aborts, then commits and lets go, and resolves. Waits out whatever may pass; rejects only
   * when the source failed for good.
   */
  run(consumer: RecordConsumer, signal: AbortSignal): Promise<void>
  state(): SourceState
}

/** Several consumers of one source: each gets every batch, and the slowest sets the pace. For sources without commits. */
export const tee = (...consumers: readonly RecordConsumer[]): RecordConsumer => ({
  accept: async (records, signal) => {
    await Promise.all(consumers.map((consumer) => consumer.accept(records, signal)))
  },
  rewind: () => {
    for (const consumer of consumers) consumer.rewind?.()
  },
})
