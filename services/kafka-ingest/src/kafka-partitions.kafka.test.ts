import { createMetrics } from '@flasktoria/service-kit/metrics'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { connectTo } from './kafka-client.ts'
import { Membership } from './kafka-membership.ts'
import { createKafkaMetrics } from './kafka-metrics.ts'
import {
  collector,
  idsOf,
  listeningLogger,
  numbered,
  numbersOf,
  openTestbed,
  rule,
  upTo,
  type Testbed,
} from './kafka-testbed.ts'
import type { RecordConsumer } from './record-source.ts'

const eventually = { timeout: 20_000, interval: 50 }
const brokers = process.env['KAFKA_BROKERS']?.split(',')
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')
let bed: Testbed
beforeAll(async () => {
  bed = await openTestbed(brokers)
})
afterEach(() => bed.stopAll())
afterAll(() => bed.close())

/** A source whose warnings and figures can be read. */
const consume = (topic: string, group = bed.fresh('group')) => {
  const { lines, logger } = listeningLogger()
  const metrics = createMetrics('test')
  const { records, consumer } = collector()
  const parts = { logger, metrics: createKafkaMetrics(metrics) }
  const { source, stop } = bed.consume(consumer, { topics: [rule(sensorProfile, topic)], group }, parts)
  const figures = async () => (await metrics.registry.metrics()).split('\n')
  return { records, lines, source, stop, figures }
}
const lost = (lines: readonly string[]) => lines.filter((line) => line.includes('before they were read'))
/** As the retention of the topic would, but at once. */
const deleteUpTo = (topic: string, offset: number, partition = 0) =>
  bed.admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })

describe('records that the retention deleted before they were read', () => {
  test('are said and counted, and the rest is read', async () => {
    const [topic, group] = [await bed.createTopic(bed.fresh('raw')), bed.fresh('group')]
    await bed.producer.send({ topic, messages: numbered(0, 10) })
    const first = consume(topic, group)
    await expect.poll(() => first.records.length, eventually).toBe(10)
    await first.stop()
    await bed.producer.send({ topic, messages: numbered(10, 100) })
    await deleteUpTo(topic, 73)
    const { records, lines, figures } = consume(topic, group)
    await expect.poll(() => records.length, eventually).toBe(27)
    expect(numbersOf(records)).toEqual(upTo(100).slice(73))
    expect(lines.join('\n')).toContain(`deleted 63 records of partition 0 before they were read`)
    expect(await figures()).toContain(
      `flasktoria_kafka_lost_records_total{group="${group}",topic="${topic}",service="test"} 63`,
    )
    expect(lost(first.lines)).toEqual([])
  })

  test('are counted, too, when nothing is left', async () => {
    const [topic, group] = [await bed.createTopic(bed.fresh('raw')), bed.fresh('group')]
    await bed.producer.send({ topic, messages: numbered(0, 10) })
    const first = consume(topic, group)
    await expect.poll(() => first.records.length, eventually).toBe(10)
    await first.stop()
    await bed.producer.send({ topic, messages: numbered(10, 30) })
    await deleteUpTo(topic, 30)
    const { records, lines } = consume(topic, group)
    await expect.poll(() => lines.join('\n'), eventually).toContain('deleted 20 records')
    await bed.producer.send({ topic, messages: numbered(30, 31) })
    await expect.poll(() => records.length, eventually).toBe(1)
    expect(lost(lines)).toHaveLength(1)
  })

  test('are counted, too, when they go while a batch is held', async () => {
    const topic = await bed.createTopic(bed.fresh('raw'))
    const { lines, logger } = listeningLogger()
    const { records, consumer } = collector()
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    let isHeld = false
    const held: RecordConsumer = {
      accept: async (batch, signal) => {
        isHeld = true
        await gate
        await consumer.accept(batch, signal)
      },
    }
    bed.consume(held, { topics: [rule(sensorProfile, topic)] }, { logger })
    await bed.producer.send({ topic, messages: numbered(0, 10) })
    await expect.poll(() => isHeld, eventually).toBe(true)
    await bed.producer.send({ topic, messages: numbered(10, 60) })
    await deleteUpTo(topic, 45)
    open()
    await expect.poll(() => records.length, eventually).toBe(25)
    expect(lost(lines)).toEqual([expect.stringContaining('deleted 35 records')])
  })

  test('are counted, too, when the brokers are slow to say where the group stands', async () => {
    const [topic, group] = [await bed.createTopic(bed.fresh('raw')), bed.fresh('group')]
    await bed.admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '4' }] })
    await bed.producer.send({ topic, messages: numbered(0, 30) })
    await deleteUpTo(topic, 20)
    const { lines, logger } = listeningLogger()
    const { records, consumer } = collector()
    const fetchOffsets: typeof bed.admin.fetchOffsets = (request) =>
      delay(700).then(() => bed.admin.fetchOffsets(request))
    const membership = new Membership(
      { group, sessionTimeoutMs: 10_000, topicCheckMs: 1_000 },
      new Map([[topic, sensorProfile]]),
      new Map(),
      {
        kafka: connectTo({ brokers }, logger),
        admin: { ...bed.admin, fetchOffsets },
        consumer,
        metrics: undefined,
        logger,
      },
    )
    await membership.join()
    await expect.poll(() => records.length, eventually).toBe(10)
    await membership.leave()
    expect(lost(lines)).toEqual([expect.stringContaining('deleted 16 records')])
  })

  test('are told from the holes that transactions leave', async () => {
    const topic = await bed.createTopic(bed.fresh('raw'))
    const { records, lines } = consume(topic)
    await bed.inTransactions(topic, [
      { messages: numbered(0, 3), isCommitted: true },
      { messages: numbered(3, 9), isCommitted: false },
      { messages: [], isCommitted: true },
      { messages: numbered(9, 12), isCommitted: true },
    ])
    await expect.poll(() => records.length, eventually).toBe(6)
    expect(numbersOf(records)).toEqual([0, 1, 2, 9, 10, 11])
    expect(lost(lines)).toEqual([])
  })
})

test('a partition that is added is read from its beginning', async () => {
  const topic = await bed.createTopic(bed.fresh('raw'))
  const { records } = consume(topic)
  await bed.producer.send({ topic, messages: numbered(0, 3) })
  await expect.poll(() => records.length, eventually).toBe(3)
  await bed.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  const messages = numbered(3, 6).map((message) => ({ ...message, partition: 2 }))
  await bed.untilLed(topic)
  await bed.sendAnew(topic, messages)
  await expect.poll(() => new Set(numbersOf(records)), eventually).toEqual(new Set(upTo(6)))
})

test('a topic that is deleted and made anew is read from its beginning', async () => {
  const topic = await bed.createTopic(bed.fresh('raw'))
  const { records, source } = consume(topic)
  await bed.producer.send({ topic, messages: numbered(0, 10) })
  await expect.poll(() => records.length, eventually).toBe(10)
  await bed.admin.deleteTopics({ topics: [topic] })
  await expect.poll(() => source.state().failing, eventually).toContain(`there is no topic ${topic}`)
  await bed.createTopic(topic)
  await bed.sendAnew(topic, numbered(10, 30))
  await expect.poll(() => idsOf(records).size, eventually).toBe(20)
  expect(numbersOf(records)).toEqual(upTo(30))
  expect(source.state().failing).toBeUndefined()
})

test('tombstones and headers are no trouble', async () => {
  const topic = await bed.createTopic(bed.fresh('raw'))
  const { records } = consume(topic)
  await bed.producer.send({
    topic,
    messages: [
      { key: 'k', value: 'with', headers: { trace: Buffer.from([0, 255]), many: ['a', 'b'] } },
      { key: 'k', value: null },
      { value: '' },
    ],
  })
  await expect.poll(() => records.map(({ value }) => value?.toString() ?? null), eventually).toEqual(['with', null, ''])
  expect(records[0]!.attached).toEqual({
    key: Buffer.from('k'),
    headers: { trace: Buffer.from([0, 255]), many: [Buffer.from('a'), Buffer.from('b')] },
  })
  // Out of Kafka's batches, without the objects of kafkajs.
  expect(records.every((record) => 'decode' in record)).toBe(true)
})

test('lag is told of each partition, also while nothing comes, and the age of the last fetch', async () => {
  const [topic, group] = [await bed.createTopic(bed.fresh('raw'), 2), bed.fresh('group')]
  const metrics = createMetrics('test')
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const options = { topics: [rule(sensorProfile, topic)], group }
  const { stop } = bed.consume({ accept: () => gate }, options, { metrics: createKafkaMetrics(metrics) })
  await bed.producer.send({ topic, messages: numbered(0, 7).map((message) => ({ ...message, partition: 1 })) })
  const text = () => metrics.registry.metrics()
  const lagOf = (partition: number, records: number) =>
    `kafka_lag_records{group="${group}",topic="${topic}",partition="${partition}",service="test"} ${records}`
  await expect.poll(text, eventually).toContain(lagOf(1, 7))
  expect(await text()).toContain(lagOf(0, 0))
  await expect.poll(text, eventually).toContain(`kafka_pauses_total{group="${group}",service="test"} 1`)
  expect(await text()).toMatch(/kafka_fetch_age_seconds\{[^}]*\} [\d.]+/)
  open()
  await expect.poll(text, eventually).toContain(lagOf(1, 0))
  await stop()
  expect(await text()).not.toContain('kafka_lag_records{')
})

test('a rebalance is counted', async () => {
  const [topic, group] = [await bed.createTopic(bed.fresh('raw'), 2), bed.fresh('group')]
  const first = consume(topic, group)
  await expect.poll(() => first.source.state().failing, eventually).toBeUndefined()
  consume(topic, group)
  await expect
    .poll(first.figures, eventually)
    .toContain(`flasktoria_kafka_rebalances_total{group="${group}",service="test"} 1`)
})
