import { LogUnavailable, type LogWriter } from '@flasktoria/live-log/log'
import type { Logger } from '@flasktoria/service-kit/logger'
import { setTimeout as delay } from 'node:timers/promises'
import { AppendQueue } from './append-queue.ts'
import { Gathering } from './gathering.ts'
import type { IngestMetrics } from './ingest-metrics.ts'
import type { Interpreter } from './interpret.ts'
import type { RawRecord, RecordConsumer } from './record-source.ts'
import type { Refusals } from './refusals.ts'
import type { Transform } from './transform.ts'

/** So many partitions are read side by side, and appended together. */
const atOnce = 16
const firstBackoffMs = 50
const maxBackoffMs = 1_000

type Parts = {
  interpret: Interpreter
  transform: Transform
  log: LogWriter
  refusals: Refusals
  metrics: IngestMetrics
  logger: Logger
  /** How far appends of few updates stand apart. */
  appendIntervalMs?: number
  now?: () => number
}

export type Pipeline = RecordConsumer & {
  /** Since when the log has not taken what we append, and why; undefined: it takes it. */
  logTrouble(): { since: number; reason: string } | undefined
  /** The newest event time that the log took; a clock that is ahead of ours counts as ours. Null: nothing yet. */
  newestEventTs(): number | null
}

/**
 * records → interpret → gather → append. A batch is accepted when the log took all of it. While the log is away what was
 * gathered waits, and the source with it; the same is appended again when the log answers. What of it was there already does
 * no harm: anomalies have ids, everything else an event time.
 */
export function createPipeline(parts: Parts): Pipeline {
  const { interpret, transform, log, refusals, metrics, logger, appendIntervalMs = 0, now = Date.now } = parts
  let trouble: ReturnType<Pipeline['logTrouble']>
  let newestEventTs: number | null = null

  /** The event time of the first good record; undefined: there is none. */
  const gather = (records: readonly RawRecord[]): number | undefined => {
    const arrivedAt = now()
    const { gathering } = queue
    let firstTs: number | undefined
    for (const { topic, first, end } of runsByTopic(records)) {
      let accepted = 0
      for (let next = first; next < end; next++) {
        const record = records[next]!
        const interpreted = interpret(record, arrivedAt)
        if (interpreted.ok) {
          gathering.add(interpreted.fact, record)
          firstTs ??= interpreted.fact.ts
          accepted++
        } else refusals.add(record, interpreted.reason, arrivedAt)
      }
      const refused = end - first - accepted
      if (accepted > 0) metrics.records.inc({ topic, result: 'accepted' }, accepted)
      if (refused > 0) metrics.records.inc({ topic, result: 'refused' }, refused)
    }
    refusals.flush()
    return firstTs
  }

  const append = async (gathering: Gathering) => {
    const endTimer = metrics.appendSeconds.startTimer()
    const { entries, late, duplicates } = await log.append(gathering.drafts())
    endTimer()
    if (gathering.newestTs > (newestEventTs ?? -Infinity)) newestEventTs = Math.min(gathering.newestTs, now())
    metrics.conflated.inc(gathering.conflated)
    metrics.appendEntries.observe(entries)
    metrics.appended.inc(entries)
    metrics.late.inc(late)
    metrics.duplicates.inc(duplicates)
  }

  const appendPatiently = async (gathering: Gathering, signal: AbortSignal) => {
    for (let backoffMs = firstBackoffMs; ; backoffMs = Math.min(backoffMs * 2, maxBackoffMs)) {
      signal.throwIfAborted()
      try {
        await append(gathering)
        if (trouble) logger.info({ awayMs: now() - trouble.since }, 'the live log is back')
        trouble = undefined
        return
      } catch (error) {
        if (!(error instanceof LogUnavailable)) throw error
        if (!trouble) {
          metrics.outages.inc()
          logger.warn({ err: error }, 'the live log is away: the source waits')
        }
        trouble = { since: trouble?.since ?? now(), reason: error.message }
      }
      await delay(backoffMs, undefined, { signal })
      await untilAnswering(log, signal)
    }
  }

  const queue = new AppendQueue(() => new Gathering(transform), appendPatiently, appendIntervalMs)

  return {
    atOnce,
    accept: async (records, signal) => {
      metrics.batchRecords.observe(records.length)
      const firstTs = gather(records)
      if (firstTs === undefined) return
      await queue.appended(signal)
      metrics.ageSeconds.observe(Math.max(0, now() - firstTs) / 1_000)
    },
    logTrouble: () => trouble,
    newestEventTs: () => newestEventTs,
  }
}

async function untilAnswering(log: LogWriter, signal: AbortSignal): Promise<void> {
  for (let backoffMs = firstBackoffMs; ; backoffMs = Math.min(backoffMs * 2, maxBackoffMs)) {
    try {
      await log.ping()
      return
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error
    }
    await delay(backoffMs, undefined, { signal })
  }
}

/** Records of a topic come one behind the other. */
function* runsByTopic(records: readonly RawRecord[]): Generator<{ topic: string; first: number; end: number }> {
  for (let end = 0; end < records.length;) {
    const first = end
    const { topic } = records[first]!
    while (records[end]?.topic === topic) end++
    yield { topic, first, end }
  }
}
