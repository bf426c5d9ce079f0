import { configSchema, optionNames, topicRules } from '@flasktoria/kafka-ingest/config'
import { encodeRecord } from '@flasktoria/kafka-ingest/encode'
import { createInterpreter } from '@flasktoria/kafka-ingest/interpret'
import { kafkaAccess } from '@flasktoria/kafka-ingest/kafka-config'
import { readConfig } from '@flasktoria/service-kit/config'
import { Kafka, logLevel } from 'kafkajs'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort, isListening, startDaemon } from '../servers/daemon.ts'
import { startSecuredKafka } from '../servers/kafka-secured.ts'
import { createTopics, planKafka } from '../servers/kafka.ts'
import { findingsOf } from './findings.ts'
import { examineKafka } from './kafka.ts'

const brokers = process.env['KAFKA_BROKERS']
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')

const run = Math.random().toString(36).slice(2, 8)
const topic = (name: string) => `doctor-${run}.${name}`
const now = Date.now()
const at = (timestamp: number, index = 0) =>
  encodeRecord.sensor({
    timestamp,
    sensor_group: 'g',
    sensor: 'pid_13',
    uuid: `car-${index}`,
    value: `speed: ${index}`,
    src: 's',
  })
const textTime = (ts: number) => new Date(ts).toISOString().slice(0, 19).replace('T', ' ')
const v5 = (ts: number) =>
  encodeRecord['sensor-v5']({
    timestamp: textTime(ts),
    sensor_group: 'g',
    sensor: 'pid_13',
    uuid: 'old-1',
    value: 'speed: 7',
  })

const contents: Record<string, Buffer[]> = {
  good: Array.from({ length: 30 }, (_, index) => at(now - index, index)),
  anomalies: [
    encodeRecord.anomaly({
      timestamp: now,
      sensor_group: 'g',
      sensor: 'pid_13',
      uuid: 'car-1',
      src: 's',
      anomaly_id: 3,
      detection_time: '',
      confirmation_time: '',
      rootCause: 'bearing',
      recommendation: 'stop',
    }),
  ],
  garbage: Array.from({ length: 12 }, (_, index) => Buffer.from(`<garbage n="${index}"/>`)),
  mixed: [at(now), Buffer.from('{"speed":1}'), at(now, 1), Buffer.from('{"speed":2}')],
  old: Array.from({ length: 12 }, (_, index) => v5(now - index * 1_000)),
  zone: Array.from({ length: 12 }, () => v5(now + 7_200_000)),
  ahead: [at(now + 3_600_000 + 123_456)],
  silent: [at(now - 5 * 86_400_000)],
  empty: [],
}

const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const admin = kafka.admin()
beforeAll(async () => {
  await admin.connect()
  const topics = Object.keys(contents).map((name) => ({ topic: topic(name), numPartitions: 2 }))
  await admin.createTopics({ topics, waitForLeaders: true })
  const producer = kafka.producer()
  await producer.connect()
  // One by one: what goes to several partitions is sent again to all of them when one is not led yet.
  for (const [name, values] of Object.entries(contents))
    for (const value of values)
      await producer.send({ topic: topic(name), messages: [{ value, timestamp: String(now) }] })
  await producer.disconnect()
})
afterAll(async () => {
  await admin.deleteTopics({ topics: Object.keys(contents).map(topic) })
  await admin.disconnect()
})

const examine = (environment: Record<string, string>) => {
  const config = readConfig(
    configSchema,
    {
      KAFKA_BROKERS: brokers,
      KAFKA_GROUP: `doctor-${run}`,
      SENSOR_TOPICS: topic('good'),
      ANOMALY_TOPICS: topic('anomalies'),
      ...environment,
    },
    optionNames,
  )
  if (config.SOURCE !== 'kafka') throw new Error('another source')
  const { EARLIEST_TIME: earliestTs, MAX_AHEAD_MS: maxAheadMs, KAFKA_GROUP: group } = config
  const settings = {
    access: kafkaAccess(config),
    rules: topicRules(config, config.TEXT_TIME_ZONE),
    groups: [group],
    interpret: createInterpreter({ earliestTs, maxAheadMs }),
    maxAheadMs,
  }
  return findingsOf((chart) => examineKafka(chart, settings), 'kafka')
}

test('a cluster as it should be gives no cause for complaint, and its records are shown as they are understood', async () => {
  const { of, troubles } = await examine({})
  expect(troubles).toEqual([])
  expect(of(`login at ${brokers}`)?.says).toMatch(/it lets us in \(no TLS, no login\); cluster \S+ has 1 broker$/)
  expect(of(`topic ${topic('good')}`)?.says).toBe('2 partitions, 30 records')
  expect(of(`group doctor-${run}`)?.says).toBe('nobody is in it just now; it has never read these topics')
  const { says, details } = of(`records of ${topic('good')}`)!
  expect(says).toBe('the 30 newest records can be read as sensor')
  expect(details?.[0]).toBe(`${new Date(now).toISOString()}  car-0  pid_13 = 0`)
  expect(of(`records of ${topic('anomalies')}`)?.details).toEqual([
    `${new Date(now).toISOString()}  car-1  anomaly 3: bearing`,
  ])
  expect(of(`times in ${topic('good')}`)?.says).toContain('s ago')
})

test('it leaves nothing behind: its group is gone, and that of the services never began', async () => {
  await examine({})
  const { groups } = await admin.listGroups()
  expect(groups.filter(({ groupId }) => groupId.startsWith(`doctor-${run}`))).toEqual([])
})

test('what waits for a group is counted', async () => {
  await admin.setOffsets({
    groupId: `doctor-${run}-lag`,
    topic: topic('good'),
    partitions: [{ partition: 0, offset: '0' }],
  })
  const [first] = await admin.fetchTopicOffsets(topic('good'))
  const { of } = await examine({ KAFKA_GROUP: `doctor-${run}-lag` })
  expect(of(`group doctor-${run}-lag`)?.says).toBe(`nobody is in it just now; ${first!.high} records wait for it`)
  await admin.deleteGroups([`doctor-${run}-lag`])
})

test('a missing topic is named, and one that was probably meant', async () => {
  const { of } = await examine({ SENSOR_TOPICS: topic('good').replace('-', '_') })
  expect(of(`topic ${topic('good').replace('-', '_')}`)).toMatchObject({
    status: 'wrong',
    says: 'there is no such topic, or this user may not see it',
    advice: expect.stringContaining(`There is ${topic('good')}.`),
  })
})

test('a pattern says what it matches, and when it matches nothing', async () => {
  const { of } = await examine({ SENSOR_TOPICS: String.raw`/doctor-${run}\.go+d/, /doctor-${run}\.none/` })
  expect(of(String.raw`pattern /doctor-${run}\.go+d/`)).toMatchObject({
    status: 'ok',
    says: `it matches ${topic('good')}`,
  })
  expect(of(String.raw`pattern /doctor-${run}\.none/`)).toMatchObject({
    status: 'warning',
    says: 'it matches no topic',
  })
})

test('patterns of several profiles that match one topic are wrong', async () => {
  const { of } = await examine({
    SENSOR_TOPICS: String.raw`/doctor-${run}\.good/`,
    SENSOR_V5_TOPICS: String.raw`/doctor-${run}\.go+d/`,
  })
  expect(of(`topic ${topic('good')}`)).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('several profiles'),
  })
})

test('a topic full of garbage is wrong, and shows its bytes', async () => {
  const { of } = await examine({ SENSOR_TOPICS: topic('garbage') })
  const { status, says, details } = of(`records of ${topic('garbage')}`)!
  expect(status).toBe('wrong')
  expect(says).toMatch(/^none of the 12 newest records reads as sensor \(12 × /)
  expect(details?.[0]).toContain('3c 67 61 72 62 61 67 65')
})

test('a topic whose records are for another profile says for which', async () => {
  const { of } = await examine({ SENSOR_TOPICS: topic('old') })
  expect(of(`records of ${topic('old')}`)).toMatchObject({
    status: 'wrong',
    says: 'none of the 12 newest records reads as sensor (12 × other_producer)',
    advice: 'They read as sensor-v5: give the topic that profile.',
  })
})

test('a topic that others write into, too, is noticed', async () => {
  const { of } = await examine({ SENSOR_TOPICS: topic('mixed') })
  expect(of(`records of ${topic('mixed')}`)).toMatchObject({
    status: 'warning',
    says: '2 of the 4 newest records are refused (2 × json_text)',
  })
})

test('times that are off by a time zone are told from a wrong clock and from silence', async () => {
  const names = ['ahead', 'silent', 'empty'].map(topic).join(',')
  const { of } = await examine({ SENSOR_TOPICS: names, SENSOR_V5_TOPICS: topic('zone') })
  expect(of(`times in ${topic('zone')}`)).toMatchObject({
    status: 'warning',
    says: expect.stringContaining('2 h after their records were produced: a time zone?'),
  })
  expect(of(`times in ${topic('ahead')}`)).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('ahead of our clock'),
  })
  expect(of(`times in ${topic('silent')}`)).toMatchObject({
    status: 'warning',
    says: expect.stringContaining('5 days ago'),
  })
  expect(of(`records of ${topic('empty')}`)).toMatchObject({ status: 'warning', says: 'there are none (yet)' })
  expect(of(`times in ${topic('empty')}`)).toMatchObject({ status: 'unchecked' })
})

test('a wrong port, TLS where there is none, and a login that nobody wants each have their sentence', async () => {
  const nobody = `127.0.0.1:${await freePort()}`
  const lost = await examine({ KAFKA_BROKERS: `${nobody},${brokers}` })
  expect(lost.of(`connection to ${nobody}`)).toMatchObject({ status: 'wrong', says: `nobody listens at ${nobody}` })
  expect(lost.of(`login at ${nobody}`)).toMatchObject({ status: 'unchecked' })
  expect(lost.of(`topic ${topic('good')}`)?.status).toBe('ok')
  const tls = await examine({ KAFKA_TLS: 'true' })
  expect(tls.of(`login at ${brokers}`)).toMatchObject({
    status: 'wrong',
    advice: expect.stringContaining('does not speak TLS'),
  })
  const login = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'a', KAFKA_SASL_PASSWORD: 'b' }
  expect((await examine(login)).of(`login at ${brokers}`)).toMatchObject({
    status: 'wrong',
    advice: expect.stringContaining('This port wants no log-in'),
  })
})

test('where a log-in is wanted, a wrong password is told from rights that are missing', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-doctor-secured-'))
  const secured = await startSecuredKafka(dir)
  const examineAs = (user: string, password: string) =>
    examine({
      KAFKA_BROKERS: secured.sasl,
      KAFKA_SASL_MECHANISM: 'scram-sha-256',
      KAFKA_SASL_USERNAME: user,
      KAFKA_SASL_PASSWORD: password,
    })
  try {
    await createTopics(secured.url, [topic('good'), topic('anomalies')], 1)
    const outside = await examineAs('stranger', 'guessed')
    expect(outside.of(`login at ${secured.sasl}`)).toMatchObject({
      status: 'wrong',
      advice: expect.stringContaining('the password right?'),
    })
    expect(outside.of('topics')).toMatchObject({ status: 'unchecked', says: 'no broker lets us in' })
    const inside = await examineAs('stranger', 'stranger-secret')
    expect(inside.of(`login at ${secured.sasl}`)?.says).toContain('it lets us in (no TLS, scram-sha-256)')
    expect(inside.of(`topic ${topic('good')}`)).toMatchObject({
      status: 'wrong',
      advice: expect.stringContaining('DESCRIBE and READ'),
    })
    expect(inside.of(`group doctor-${run}`)).toMatchObject({
      status: 'wrong',
      advice: `This user needs READ on the consumer group doctor-${run}.`,
    })
    const withoutLogin = await examine({ KAFKA_BROKERS: secured.sasl })
    expect(withoutLogin.of(`login at ${secured.sasl}`)).toMatchObject({
      status: 'wrong',
      advice: expect.stringContaining('The broker hung up'),
    })
  } finally {
    await secured.kill()
    rmSync(dir, { recursive: true, force: true })
  }
}, 180_000)

test('a broker that sends its clients to a name that nobody knows is wrong', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-doctor-kafka-'))
  const port = await freePort()
  const settings = { 'advertised.listeners': `PLAINTEXT://kafka-1.invalid:${port}` }
  const plan = await planKafka({ dir, port, controllerPort: await freePort(), settings })
  const daemon = await startDaemon(plan, () => isListening(port), 90_000)
  try {
    await expect
      .poll(async () => (await examine({ KAFKA_BROKERS: `127.0.0.1:${port}` })).of(`login at 127.0.0.1:${port}`), {
        timeout: 120_000,
      })
      .toMatchObject({
        status: 'wrong',
        says: expect.stringContaining(`it tells its clients to come to kafka-1.invalid:${port}, and that fails`),
        advice: expect.stringContaining('advertised.listeners'),
      })
  } finally {
    await daemon.kill()
    rmSync(dir, { recursive: true, force: true })
  }
}, 180_000)
