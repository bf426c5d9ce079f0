import type { Logger } from '@flasktoria/service-kit/logger'
import { deadLetter, type DeadLetter, type DeadLetters } from './dead-letters.ts'
import type { IngestMetrics } from './ingest-metrics.ts'
import type { Reason } from './interpret.ts'
import type { RawRecord } from './record-source.ts'

const logIntervalMs = 10_000

/** What happens to a record that can't be used: counted, kept aside, and one line a reason and interval in the log. */
export function createRefusals(deadLetters: DeadLetters, metrics: IngestMetrics, logger: Logger) {
  const sampled = new Map<Reason, { nextAt: number; unlogged: number }>()
  let waiting: DeadLetter[] = []

  const logOnce = (letter: DeadLetter, reason: Reason, now: number) => {
    const sample = sampled.get(reason) ?? { nextAt: 0, unlogged: 0 }
    sampled.set(reason, sample)
    sample.unlogged += 1
    if (now < sample.nextAt) return
    const { topic, partition, offset, value } = letter
    logger.warn({ reason, topic, partition, offset, value, count: sample.unlogged }, 'records refused')
    sample.nextAt = now + logIntervalMs
    sample.unlogged = 0
  }

  return {
    add: (record: RawRecord, reason: Reason, now: number): void => {
      metrics.rejected.inc({ topic: record.topic, reason })
      const letter = deadLetter(record, reason, now)
      logOnce(letter, reason, now)
      waiting.push(letter)
    },
    /** Hands over what came since the last time: once a batch. */
    flush: (): void => {
      if (waiting.length === 0) return
      deadLetters.put(waiting)
      metrics.deadLetters.inc(waiting.length)
      waiting = []
    },
  }
}
export type Refusals = ReturnType<typeof createRefusals>
