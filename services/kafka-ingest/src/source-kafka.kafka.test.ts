import { createMemoryLog, type MemoryLog } from '@flasktoria/live-log/log-memory'
import { LogUnavailable, type Draft, type Entry, type LogWriter } from '@flasktoria/live-log/log'
import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { CompressionTypes, type Message } from 'kafkajs'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { createMemoryDeadLetters } from './dead-letters.ts'
import { encodeRecord } from './encode.ts'
import { createIngestMetrics } from './ingest-metrics.ts'
import { createInterpreter } from './interpret.ts'
import { collector, idsOf, numbered, numbersOf, openTestbed, rule, upTo } from './kafka-testbed.ts'
import { createPipeline } from './pipeline.ts'
import type { RawRecord, RecordConsumer } from './record-source.ts'
import { createRefusals } from './refusals.ts'
import { createTransform } from './transform.ts'

const brokers = process.env['KAFKA_BROKERS']?.split(',')
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')

const logger = createLogger('test', 'silent')
const bed = await openTestbed(brokers)
const { admin, producer, running, fresh, createTopic, consume, committedRecords } = bed
afterEach(() => bed.stopAll())
afterAll(() => bed.close())

const sensorRecord = (vehicle: string, timestamp: number, value: string, sensor = 'pid_13_mode_1'): Message => ({
  value: encodeRecord.sensor({ timestamp, sensor_group: 'g', sensor, uuid: vehicle, value: `l: ${value}`, src: 's' }),
})
const oldRecord = (vehicle: string, timestamp: string, value: string): Message => ({
  value: encodeRecord['sensor-v5']({ timestamp, sensor_group: 'g', sensor: 'pid_5_mode_1', uuid: vehicle, value }),
})
const anomalyRecord = (vehicle: string, timestamp: number, id: number): Message => ({
  value: encodeRecord.anomaly({
    timestamp,
    detection_time: 'now',
    confirmation_time: 'later',
    sensor_group: 'g',
    sensor: 'pid_5_mode_1',
    uuid: vehicle,
    anomaly_id: id,
    rootCause: 'r',
    recommendation: 'c',
    src: 's',
  }),
})

const entriesOf = async (log: MemoryLog): Promise<Entry[]> => {
  const { promise, resolve } = Promise.withResolvers<Entry[]>()
  const follower = await log.follow({ onSnapshot: ({ recent }) => resolve(recent), onEntries: () => {} })
  await follower.close()
  return promise
}

const pipelineTo = (log: LogWriter) => {
  const metrics = createIngestMetrics(createMetrics('test'))
  const deadLetters = createMemoryDeadLetters(1_000)
  const pipeline = createPipeline({
    interpret: createInterpreter({ earliestTs: 946_684_800_000, maxAheadMs: 300_000 }),
    transform: createTransform({ sensors: defaultSensors, anomalies: defaultAnomalies }),
    log,
    refusals: createRefusals(deadLetters, metrics, logger),
    metrics,
    logger,
  })
  return { pipeline, metrics, deadLetters }
}

const sum = async (counter: { get(): Promise<{ values: { value: number }[] }> }) =>
  (await counter.get()).values.reduce((total, { value }) => total + value, 0)

const eventually = { timeout: 20_000, interval: 50 }

describe('the whole way', () => {
  test('four partitions, no keys, both producers and one per cent garbage: every good record arrives, every bad one is counted', async () => {
    const [sensors, old, anomalies] = [
      await createTopic(fresh('raw'), 4),
      await createTopic(fresh('old')),
      await createTopic(fresh('anomaly'), 2),
    ]
    const log = createMemoryLog()
    const { pipeline, metrics, deadLetters } = pipelineTo(log)
    const { source } = consume(pipeline, {
      topics: [rule(sensorProfile, sensors), rule(sensorV5Profile('UTC'), old), rule(anomalyProfile, anomalies)],
    })
    const base = Date.now() - 60_000
    const good = Array.from({ length: 2_000 }, (_, i) => sensorRecord(`v${i % 50}`, base + i, String(i % 100)))
    const garbage = Array.from({ length: 20 }, (_, i): Message => ({ value: Buffer.alloc(1 + i * 7, i * 37) }))
    await producer.send({ topic: sensors, messages: [...good, ...garbage].toSorted(() => Math.random() - 0.5) })
    await producer.send({ topic: old, messages: [oldRecord('v-old', '2024-02-29 12:00:00', 'coolant: 90')] })
    await producer.send({
      topic: anomalies,
      messages: Array.from({ length: 60 }, (_, i) => anomalyRecord(`v${i % 3}`, base, i % 6)),
    })

    await expect.poll(() => sum(metrics.records), eventually).toBe(2_081)
    await expect.poll(() => sum(metrics.rejected), eventually).toBe(20)
    const entries = await entriesOf(log)
    // Readings that came together are one update.
    const readings = entries.flatMap(({ kind, json }) => (kind === 'sensordata' ? JSON.parse(json).values : []))
    expect(readings).toHaveLength(2_001)
    expect(entries.filter(({ kind }) => kind === 'anomaly')).toHaveLength(60)
    expect(entries.find(({ vehicle }) => vehicle === 'v-old')).toMatchObject({
      eventTs: Date.UTC(2024, 1, 29, 12),
      sensor: 'pid_5_mode_1',
    })
    expect(await deadLetters.read(100)).toHaveLength(20)
    expect(source.state().failing).toBeUndefined()
  })

  test('the log goes away for longer than the session lasts: the group stays, and nothing is lost or doubled', async () => {
    const topic = await createTopic(fresh('anomaly'), 2)
    const group = fresh('group')
    const memory = createMemoryLog()
    let isAway = false
    const appended: Draft[] = []
    const log: LogWriter = {
      append: (drafts) => {
        if (isAway) return Promise.reject(new LogUnavailable('away'))
        const all = [...drafts]
        appended.push(...all)
        return memory.append(all)
      },
      ping: () => (isAway ? Promise.reject(new LogUnavailable('away')) : Promise.resolve()),
      close: () => Promise.resolve(),
    }
    const { pipeline } = pipelineTo(log)
    consume(pipeline, { topics: [rule(anomalyProfile, topic)], group })
    const send = (vehicle: string) =>
      producer.send({ topic, messages: Array.from({ length: 20 }, () => anomalyRecord(vehicle, Date.now(), 1)) })
    await send('before')
    await expect.poll(() => appended.length, eventually).toBe(20)
    await expect.poll(() => committedRecords(group, topic), eventually).toBe(20)
    const before = await memberOf(group)

    isAway = true
    await send('during')
    await expect.poll(() => pipeline.logTrouble(), eventually).toBeDefined()
    await expect
      .poll(() => Date.now() - pipeline.logTrouble()!.since, { timeout: 20_000, interval: 500 })
      .toBeGreaterThan(12_000)
    expect(await committedRecords(group, topic)).toBe(20)
    isAway = false
    await send('after')

    await expect.poll(async () => (await entriesOf(memory)).length, eventually).toBe(60)
    expect(appended).toHaveLength(60)
    expect(await memberOf(group)).toBe(before)
    await expect.poll(() => committedRecords(group, topic), eventually).toBe(60)
  })
})

const memberOf = async (group: string) => (await admin.describeGroups([group])).groups[0]?.members[0]?.memberId

describe('positions', () => {
  test('after a stop it goes on where it stood, without loss and without repetition', async () => {
    const topic = await createTopic(fresh('raw'), 4)
    const options = { topics: [rule(sensorProfile, topic)], group: fresh('group') }
    const [before, after] = [collector(), collector()]
    const first = consume(before.consumer, options)
    await producer.send({ topic, messages: numbered(0, 100) })
    await expect.poll(() => idsOf(before.records).size, eventually).toBe(100)
    await first.stop()
    await producer.send({ topic, messages: numbered(100, 200) })
    consume(after.consumer, options)
    await expect.poll(() => after.records.length, eventually).toBe(100)
    expect(numbersOf(after.records)).toEqual(upTo(200).slice(100))
  })

  test('latest happens once: what is there at the first start is skipped, what comes while nobody runs is not', async () => {
    const topic = await createTopic(fresh('raw'), 4)
    await producer.send({ topic, messages: numbered(-100, 0) })
    const options = { topics: [rule(sensorProfile, topic)], group: fresh('group'), start: 'latest' as const }
    const { records, consumer } = collector()
    const first = consume(consumer, options)
    await expect.poll(() => first.source.state().failing, eventually).toBeUndefined()
    await expect.poll(async () => committedRecords(options.group, topic), eventually).toBe(100)
    await first.stop()
    await producer.send({ topic, messages: numbered(0, 20) })
    consume(consumer, options)
    await expect.poll(() => records.length, eventually).toBe(20)
    expect(numbersOf(records)).toEqual(upTo(20))
  })

  test('what waited for long is left out when it starts again, but no anomaly, and nothing the first time', async () => {
    const [sensors, anomalies] = [await createTopic(fresh('raw')), await createTopic(fresh('anomaly'))]
    const old = String(Date.now() - 600_000)
    const send = (topic: string, numbers: readonly number[], timestamp?: string) =>
      producer.send({
        topic,
        messages: numbers.map((number) => ({
          ...(topic === sensors ? sensorRecord(`v${number}`, number, '1') : anomalyRecord(`v${number}`, number, 0)),
          ...(timestamp && { timestamp }),
        })),
      })
    const options = {
      topics: [rule(sensorProfile, sensors), rule(anomalyProfile, anomalies)],
      group: fresh('group'),
      maxBacklogMs: 60_000,
    }
    const [before, after] = [collector(), collector()]
    await send(sensors, [0], old)
    await send(anomalies, [0], old)
    const first = consume(before.consumer, options)
    await expect.poll(() => before.records.length, eventually).toBe(2)
    await first.stop()
    await send(sensors, [1, 2], old)
    await send(sensors, [3])
    await send(anomalies, [4], old)
    consume(after.consumer, options)
    await expect.poll(() => after.records.length, eventually).toBe(2)
    const vehicleOf = ({ profile, value }: RawRecord) => {
      const decoded = profile.read(value)
      return decoded.ok && decoded.vehicle
    }
    expect(new Set(after.records.map(vehicleOf))).toEqual(new Set(['v3', 'v4']))
  })

  test('a batch that the consumer refuses comes again', async () => {
    const topic = await createTopic(fresh('raw'))
    const { records, consumer } = collector()
    let refusals = 2
    const stubborn: RecordConsumer = {
      accept: (batch, signal) => (refusals-- > 0 ? Promise.reject(new Error('no')) : consumer.accept(batch, signal)),
    }
    consume(stubborn, { topics: [rule(sensorProfile, topic)] })
    await producer.send({ topic, messages: numbered(0, 10) })
    await expect.poll(() => records.length, eventually).toBe(10)
  })

  test('a consumer that says how far its records are safe is committed no further', async () => {
    const topic = await createTopic(fresh('raw'))
    const group = fresh('group')
    const { records, consumer } = collector()
    let safe = 0
    const careful: RecordConsumer = { ...consumer, safePositions: () => [{ topic, partition: 0, offset: safe }] }
    const { stop } = consume(careful, { topics: [rule(sensorProfile, topic)], group })
    await producer.send({ topic, messages: numbered(0, 10) })
    await expect.poll(() => records.length, eventually).toBe(10)
    safe = 4
    await expect.poll(() => committedRecords(group, topic), eventually).toBe(4)
    safe = 7
    await stop()
    expect(await committedRecords(group, topic)).toBe(7)
  })

  test('two instances share the partitions; when one goes the other takes over, and nothing is lost', async () => {
    const topic = await createTopic(fresh('raw'), 4)
    const options = { topics: [rule(sensorProfile, topic)], group: fresh('group') }
    const [a, b] = [collector(), collector()]
    let rewinds = 0
    const first = consume({ ...a.consumer, rewind: () => void rewinds++ }, options)
    await producer.send({ topic, messages: numbered(0, 40) })
    await expect.poll(() => idsOf(a.records).size, eventually).toBe(40)
    consume(b.consumer, options)
    const isShared = async () => {
      const [group] = (await admin.describeGroups([options.group])).groups
      return group?.state === 'Stable' && group.members.length === 2
    }
    await expect.poll(isShared, eventually).toBe(true)
    const sendRound = async (from: number) => {
      for (let partition = 0; partition < 4; partition++)
        await producer.send({ topic, messages: numbered(from, from + 10).map((m) => ({ ...m, partition })) })
    }
    await sendRound(40)
    await expect.poll(() => idsOf([...a.records, ...b.records]).size, eventually).toBe(80)
    expect(b.records.length).toBeGreaterThan(0)
    expect(rewinds).toBeGreaterThan(0)
    await first.stop()
    await sendRound(80)
    await expect.poll(() => idsOf([...a.records, ...b.records]).size, eventually).toBe(120)
  })
})

describe('topics', () => {
  test('a topic that appears later and matches a pattern is read from its beginning', async () => {
    const prefix = fresh('site')
    await createTopic(`${prefix}.a.raw`)
    const { records, consumer } = collector()
    const { source } = consume(consumer, { topics: [rule(sensorProfile, `/${prefix}\\..*\\.raw/`)], start: 'latest' })
    await expect.poll(() => source.state().failing, eventually).toBeUndefined()
    await createTopic(`${prefix}.b.raw`)
    await createTopic(`${prefix}.b.other`)
    await producer.send({ topic: `${prefix}.b.raw`, messages: numbered(0, 5) })
    await producer.send({ topic: `${prefix}.b.other`, messages: numbered(5, 9) })
    await producer.send({ topic: `${prefix}.a.raw`, messages: numbered(9, 10) })
    await expect.poll(() => records.length, eventually).toBe(6)
    expect(new Set(records.map(({ topic }) => topic))).toEqual(new Set([`${prefix}.a.raw`, `${prefix}.b.raw`]))
  })

  test('a topic that does not exist is said, waited for, and read from its beginning', async () => {
    const topic = fresh('late')
    const { records, consumer } = collector()
    const { source } = consume(consumer, { topics: [rule(sensorProfile, topic)], start: 'latest' })
    await expect.poll(() => source.state().failing, eventually).toBe(`there is no topic ${topic}`)
    await createTopic(topic)
    await producer.send({ topic, messages: numbered(0, 3) })
    await expect.poll(() => records.length, eventually).toBe(3)
    await expect.poll(() => source.state().failing, eventually).toBeUndefined()
  })

  test('the lag is what waits', async () => {
    const topic = await createTopic(fresh('raw'), 2)
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const { source } = consume({ accept: () => gate }, { topics: [rule(sensorProfile, topic)] })
    await expect.poll(() => source.state(), eventually).toMatchObject({ lagRecords: 0, lagMs: 0 })
    await producer.send({ topic, messages: numbered(0, 30) })
    await expect.poll(() => source.state().lagRecords, eventually).toBe(30)
    await expect.poll(() => source.state().lagMs, eventually).toBeGreaterThan(1_000)
    open()
    await expect.poll(() => source.state(), eventually).toMatchObject({ lagRecords: 0, lagMs: 0 })
  })
})

test.each([
  ['gzip', CompressionTypes.GZIP],
  ['snappy', CompressionTypes.Snappy],
  ['lz4', CompressionTypes.LZ4],
  ['zstd', CompressionTypes.ZSTD],
])('batches compressed with %s are read', async (_name, compression) => {
  const topic = await createTopic(fresh('raw'))
  const { records, consumer } = collector()
  consume(consumer, { topics: [rule(sensorProfile, topic)] })
  await producer.send({ topic, messages: numbered(0, 1_000), compression })
  await expect.poll(() => idsOf(records).size, eventually).toBe(1_000)
  expect(new Set(numbersOf(records))).toEqual(new Set(upTo(1_000)))
})

test('what kafkajs will not try again ends the source', async () => {
  const topic = await createTopic(fresh('raw'))
  const broken: RecordConsumer = { accept: () => Promise.reject(new TypeError('a bug of ours')) }
  const { ended } = consume(broken, { topics: [rule(sensorProfile, topic)] })
  running.clear()
  await producer.send({ topic, messages: numbered(0, 1) })
  await expect(ended).rejects.toThrow('a bug of ours')
})

test('positions are committed about once a second, however many batches come', async () => {
  const topic = await createTopic(fresh('raw'))
  const group = fresh('group')
  const { records, consumer } = collector()
  consume(consumer, { topics: [rule(sensorProfile, topic)], group })
  const positions = new Set<number>()
  const startedAt = Date.now()
  for (let sent = 0; Date.now() - startedAt < 3_000; sent++) {
    await producer.send({ topic, messages: numbered(sent, sent + 1) })
    positions.add(await committedRecords(group, topic))
  }
  expect(records.length).toBeGreaterThan(30)
  expect(positions.size).toBeLessThan(6)
  // Some may have come twice: a member that was slow joins again.
  const seen = () => new Set(records.map(({ offset }) => offset)).size
  await expect.poll(async () => (await committedRecords(group, topic)) === seen(), eventually).toBe(true)
})

test('a broker that is away is waited for, and stopping does not wait for it', async () => {
  const { source, stop } = consume(collector().consumer, {
    brokers: ['127.0.0.1:1'],
    topics: [rule(sensorProfile, 'any')],
  })
  expect(source.state().failing).toBe('not connected to Kafka yet')
  const before = Date.now()
  await stop()
  expect(Date.now() - before).toBeLessThan(6_000)
})
