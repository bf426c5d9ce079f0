import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import type { DeadLetter } from './dead-letters.ts'
import { createIngestMetrics } from './ingest-metrics.ts'
import type { RawRecord } from './record-source.ts'
import { createRefusals } from './refusals.ts'

const record = (topic: string, offset = 0): RawRecord => ({
  topic,
  profile: sensorProfile,
  partition: 0,
  offset,
  value: Buffer.from('x'),
  timestamp: 0,
})

const begin = (keptPerSecond = 10) => {
  const metrics = createMetrics('test')
  const batches: (readonly DeadLetter[])[] = []
  const lines: { topic: string; reason: string; count: number }[] = []
  const logger = createLogger('test', 'silent')
  logger.warn = (line: object) => void lines.push(line as (typeof lines)[number])
  const deadLetters = {
    put: (letters: readonly DeadLetter[]) => void batches.push(letters),
    read: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  }
  const refusals = createRefusals(deadLetters, createIngestMetrics(metrics), logger, { keptPerSecond })
  const read = async (name: string) =>
    (await metrics.registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith(`flasktoria_${name}{`))
      .map((line) => line.slice(`flasktoria_${name}`.length).replace(',service="test"', ''))
  return { refusals, batches, lines, read }
}

test('each is counted by topic and reason, and a batch is handed over at once', async () => {
  const { refusals, batches, read } = begin()
  refusals.add(record('a', 1), 'malformed', 0)
  refusals.add(record('a', 2), 'malformed', 0)
  refusals.add(record('b', 3), 'no_label', 0)
  refusals.flush()
  refusals.flush()
  expect(batches.map((letters) => letters.map(({ offset }) => offset))).toEqual([[1, 2, 3]])
  expect(await read('records_rejected_total')).toEqual([
    '{topic="a",reason="malformed"} 2',
    '{topic="b",reason="no_label"} 1',
  ])
})

test('the log has one line of a topic and reason in ten seconds, with how many it stands for', () => {
  const { refusals, lines } = begin()
  for (let ms = 0; ms <= 10_000; ms += 1_000) refusals.add(record('a'), 'malformed', ms)
  refusals.add(record('b'), 'malformed', 10_000)
  refusals.add(record('a'), 'no_label', 10_000)
  expect(lines.map(({ topic, reason, count }) => [topic, reason, count])).toEqual([
    ['a', 'malformed', 1],
    ['a', 'malformed', 10],
    ['b', 'malformed', 1],
    ['a', 'no_label', 1],
  ])
})

test('of a flood a few are kept, all are counted, and others are kept beside it', async () => {
  const { refusals, batches, read } = begin(10)
  for (let second = 0; second < 10; second++) {
    for (let offset = 0; offset < 5_000; offset++) refusals.add(record('flood', offset), 'malformed', second * 1_000)
    refusals.add(record('quiet', second), 'bad_time', second * 1_000)
    refusals.flush()
  }
  const kept = batches.flat()
  expect(kept.filter(({ topic }) => topic === 'flood')).toHaveLength(100 + 9 * 10)
  expect(kept.filter(({ topic }) => topic === 'quiet')).toHaveLength(10)
  expect(await read('records_rejected_total')).toEqual([
    '{topic="flood",reason="malformed"} 50000',
    '{topic="quiet",reason="bad_time"} 10',
  ])
  expect(await read('dead_letters_lost_total')).toEqual(['{cause="rate"} 49810'])
})

test('of a trickle each first one is kept, however few may be', () => {
  const { refusals, batches } = begin(0.01)
  refusals.add(record('a', 1), 'malformed', 0)
  refusals.add(record('a', 2), 'malformed', 1)
  refusals.flush()
  expect(batches.flat().map(({ offset }) => offset)).toEqual([1])
})

test('patterns may match any number of topics: those beyond 500 are counted together', async () => {
  const { refusals, read } = begin()
  for (let topic = 0; topic < 2_000; topic++) refusals.add(record(`t${topic}`), 'malformed', 0)
  refusals.flush()
  const counted = await read('records_rejected_total')
  expect(counted).toHaveLength(501)
  expect(counted).toContain('{topic="other",reason="malformed"} 1500')
})

test('one batch hands over a thousand at most, whatever it consists of', () => {
  const { refusals, batches } = begin(10_000)
  for (let offset = 0; offset < 5_000; offset++) refusals.add(record('a', offset), 'malformed', 0)
  refusals.flush()
  expect(batches.map((letters) => letters.length)).toEqual([1_000])
})
