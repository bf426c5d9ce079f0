import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { LogUnavailable, type Draft, type LogWriter } from '@flasktoria/live-log/log'
import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { createMemoryDeadLetters } from './dead-letters.ts'
import { encodeRecord } from './encode.ts'
import { createIngestMetrics } from './ingest-metrics.ts'
import { createInterpreter } from './interpret.ts'
import { createPipeline } from './pipeline.ts'
import type { RawRecord } from './record-source.ts'
import { createRefusals } from './refusals.ts'
import { createTransform } from './transform.ts'

const now = Date.UTC(2026, 5, 1)
const idle = new AbortController().signal

/** A log that is away for the first `outages` appends, and does not answer pings for as long. */
const logAwayFor = (outages: number) => {
  const batches: (readonly Draft[])[] = []
  const calls: string[] = []
  let [appendsAway, pingsAway] = [outages, outages]
  const log: LogWriter = {
    append: (drafts) => {
      calls.push('append')
      if (appendsAway-- > 0) return Promise.reject(new LogUnavailable('away'))
      const batch = [...drafts]
      batches.push(batch)
      return Promise.resolve({ entries: batch.length, late: 0, duplicates: 0 })
    },
    ping: () => {
      calls.push('ping')
      return pingsAway-- > 0 ? Promise.reject(new LogUnavailable('away')) : Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
  return { log, batches, calls }
}

const pipelineTo = (log: LogWriter) => {
  const metrics = createMetrics('test')
  const ingestMetrics = createIngestMetrics(metrics)
  const deadLetters = createMemoryDeadLetters(10)
  const logger = createLogger('test', 'silent')
  const pipeline = createPipeline({
    interpret: createInterpreter({ earliestTs: 0, maxAheadMs: 60_000 }),
    transform: createTransform({ sensors: defaultSensors, anomalies: defaultAnomalies }),
    log,
    refusals: createRefusals(deadLetters, ingestMetrics, logger),
    metrics: ingestMetrics,
    logger,
    now: () => now,
  })
  return { pipeline, deadLetters, read: () => metrics.registry.metrics() }
}

const record = (offset: number, value: string, timestamp = now): RawRecord => ({
  topic: 't',
  profile: sensorProfile,
  partition: 0,
  offset,
  timestamp,
  value: encodeRecord.sensor({ timestamp, sensor_group: 'g', sensor: 's', uuid: 'v', value, src: 's' }),
})

test('good records are appended in one batch and in order; bad ones are counted and kept aside', async () => {
  const { log, batches } = logAwayFor(0)
  const { pipeline, deadLetters, read } = pipelineTo(log)
  await pipeline.accept([record(1, 'l: 1', now - 1), record(2, 'none'), record(3, 'l: 3')], idle)
  expect(batches.map((drafts) => drafts.map(({ json }) => JSON.parse(json).value))).toEqual([['3']])
  expect(JSON.parse(batches[0]![0]!.json).values).toEqual([
    { timestamp: now, value: 3 },
    { timestamp: now - 1, value: 1 },
  ])
  expect(await deadLetters.read(10)).toMatchObject([{ reason: 'no_label', offset: 2 }])
  const metrics = await read()
  expect(metrics).toContain('flasktoria_records_total{topic="t",result="accepted",service="test"} 2')
  expect(metrics).toContain('flasktoria_records_total{topic="t",result="refused",service="test"} 1')
  expect(metrics).toContain('flasktoria_batch_records_sum{service="test"} 3')
  expect(metrics).toContain('flasktoria_log_append_entries_sum{service="test"} 1')
  expect(metrics).toContain('flasktoria_record_age_seconds_sum{service="test"} 0.001')
  expect(metrics).toContain('flasktoria_records_rejected_total{topic="t",reason="no_label",service="test"} 1')
  expect(metrics).toContain('flasktoria_log_entries_appended_total{service="test"} 1')
  expect(metrics).toContain('flasktoria_dead_letters_total{service="test"} 1')
})

test('nothing good is nothing to append', async () => {
  const { log, calls } = logAwayFor(0)
  await pipelineTo(log).pipeline.accept([record(1, 'none')], idle)
  expect(calls).toEqual([])
})

test('the newest event is the newest that the log took; a clock ahead of ours counts as ours', async () => {
  const { pipeline } = pipelineTo(logAwayFor(0).log)
  expect(pipeline.newestEventTs()).toBeNull()
  await pipeline.accept([record(1, 'l: 1', now - 500), record(2, 'l: 2', now - 700)], idle)
  expect(pipeline.newestEventTs()).toBe(now - 500)
  await pipeline.accept([record(3, 'l: 3', now + 30_000), record(4, 'l: 4', now - 900)], idle)
  expect(pipeline.newestEventTs()).toBe(now)
})

test('while the log is away the batch waits, and the same one is appended when the log answers', async () => {
  const { log, batches, calls } = logAwayFor(1)
  const { pipeline, read } = pipelineTo(log)
  const accepted = pipeline.accept([record(1, 'l: 1')], idle)
  await expect.poll(() => pipeline.logTrouble()).toEqual({ since: now, reason: 'away' })
  await accepted
  expect(calls).toEqual(['append', 'ping', 'ping', 'append'])
  expect(batches).toHaveLength(1)
  expect(pipeline.logTrouble()).toBeUndefined()
  expect(await read()).toContain('flasktoria_log_outages_total{service="test"} 1')
})

test('a batch that is no longer ours is given up, and not accepted', async () => {
  const { log, batches } = logAwayFor(Infinity)
  const { pipeline } = pipelineTo(log)
  const lost = new AbortController()
  const accepted = pipeline.accept([record(1, 'l: 1')], lost.signal)
  lost.abort()
  await expect(accepted).rejects.toThrow('aborted')
  expect(batches).toEqual([])
})

test('an error that is no outage is not waited out', async () => {
  const broken: LogWriter = { ...logAwayFor(0).log, append: () => Promise.reject(new Error('broken')) }
  await expect(pipelineTo(broken).pipeline.accept([record(1, 'l: 1')], idle)).rejects.toThrow('broken')
})
