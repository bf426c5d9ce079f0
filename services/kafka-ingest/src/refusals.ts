import { Allowance } from '@flasktoria/service-kit/allowance'
import type { Logger } from '@flasktoria/service-kit/logger'
import { deadLetter, type DeadLetter, type DeadLetters } from './dead-letters.ts'
import type { IngestMetrics } from './ingest-metrics.ts'
import type { Reason } from './interpret.ts'
import type { RawRecord } from './record-source.ts'

const logIntervalMs = 10_000
/** Topics beyond that are counted together: patterns may match any number. */
const maxTopics = 500
const otherTopics = 'other'
/** So many seconds' worth of letters may come at once. */
const burstSeconds = 10
/** Letters of one batch, whatever its kinds. */
const maxWaiting = 1_000
const shownBytes = 128

export type RefusalOptions = {
  /** How many letters of one topic and reason are kept, in the long run. */
  keptPerSecond: number
}

/** Records of one topic that were refused for one reason. */
type Kind = {
  topic: string
  reason: Reason
  uncounted: number
  unlogged: number
  nextLogAt: number
  allowance: Allowance
}

/**
 * What happens to a record that can't be used: counted; one line of each kind and interval in the log; kept aside, as far as
 * its kind does not come in a flood. A topic of nothing else costs little more than counting.
 */
export function createRefusals(
  deadLetters: DeadLetters,
  metrics: IngestMetrics,
  logger: Logger,
  { keptPerSecond }: RefusalOptions = { keptPerSecond: 10 },
) {
  const kinds = new Map<string, Map<Reason, Kind>>()
  const touched = new Set<Kind>()
  let waiting: DeadLetter[] = []
  let lost = 0

  const kindOf = (topic: string, reason: Reason): Kind => {
    let ofTopic = kinds.get(topic)
    if (!ofTopic) {
      if (topic !== otherTopics && kinds.size >= maxTopics) return kindOf(otherTopics, reason)
      kinds.set(topic, (ofTopic = new Map()))
    }
    let kind = ofTopic.get(reason)
    if (!kind) {
      const allowance = new Allowance(Math.max(1, burstSeconds * keptPerSecond), keptPerSecond)
      ofTopic.set(reason, (kind = { topic, reason, uncounted: 0, unlogged: 0, nextLogAt: 0, allowance }))
    }
    return kind
  }

  const log = (kind: Kind, record: RawRecord, now: number) => {
    const { topic, partition, offset, value } = record
    const { reason, unlogged: count } = kind
    const shown = value?.toString('base64', 0, shownBytes) ?? null
    logger.warn({ reason, topic, partition, offset, value: shown, count }, 'records refused')
    kind.nextLogAt = now + logIntervalMs
    kind.unlogged = 0
  }

  return {
    add: (record: RawRecord, reason: Reason, now: number): void => {
      const kind = kindOf(record.topic, reason)
      kind.uncounted++
      kind.unlogged++
      touched.add(kind)
      if (now >= kind.nextLogAt) log(kind, record, now)
      if (waiting.length < maxWaiting && kind.allowance.take(now)) waiting.push(deadLetter(record, reason, now))
      else lost++
    },
    /** Hands over what came since the last time: once a batch. */
    flush: (): void => {
      if (touched.size === 0) return
      for (const kind of touched) {
        metrics.rejected.inc({ topic: kind.topic, reason: kind.reason }, kind.uncounted)
        kind.uncounted = 0
      }
      touched.clear()
      if (lost > 0) metrics.deadLettersLost.inc({ cause: 'rate' }, lost)
      lost = 0
      if (waiting.length === 0) return
      deadLetters.put(waiting)
      metrics.deadLetters.inc(waiting.length)
      waiting = []
    },
  }
}
export type Refusals = ReturnType<typeof createRefusals>
