import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { Kafka, logLevel, type KafkaMessage } from 'kafkajs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { simulateOptionNames, simulateSchema } from './config.ts'
import { compileProfile } from './profile.ts'
import { environmentOf } from './simulate-options.ts'
import { start } from './simulate.ts'

vi.setConfig({ testTimeout: 60_000 })

const brokers = process.env['KAFKA_BROKERS']
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')

const run = Math.random().toString(36).slice(2, 8)
const names = ['keyed', 'keyless', 'both', 'old', 'envelope', 'anomaly'].map((name) => `simulate-${run}-${name}`)
const [keyed, keyless, both, old, envelope, anomaly] = names as [string, string, string, string, string, string]
const logger = createLogger('test', 'silent')
const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const admin = kafka.admin()

beforeAll(async () => {
  await admin.connect()
  await admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions: 3 })), waitForLeaders: true })
})
afterAll(async () => {
  await admin.deleteTopics({ topics: names })
  await admin.disconnect()
})

type Read = KafkaMessage & { partition: number }

/** All that is in a topic now. */
async function read(topic: string): Promise<Read[]> {
  const ends = await admin.fetchTopicOffsets(topic)
  const wanted = ends.reduce((sum, { high }) => sum + Number(high), 0)
  const consumer = kafka.consumer({ groupId: `read-${topic}-${Math.random()}` })
  const messages: Read[] = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: ({ message, partition }) => Promise.resolve(void messages.push({ ...message, partition })),
  })
  await expect.poll(() => messages.length, { timeout: 30_000 }).toBe(wanted)
  await consumer.disconnect()
  return messages
}

/** `--rate max --duration 30s` and what the test adds. */
async function simulate(args: string[], topics: Record<string, string>) {
  const environment = {
    ...topics,
    ...environmentOf([...args, '--rate', 'max', '--duration', '30s', '--vehicles', '40']),
  }
  await using simulation = await start(readConfig(simulateSchema, environment, simulateOptionNames), { logger })
  return await simulation.ended
}
const to = `kafka://${brokers}`

test('with keys a vehicle stays in one partition, in order; all that is counted is there', async () => {
  const tally = await simulate(['--to', to, '--keyed'], { SENSOR_TOPICS: keyed, ANOMALY_TOPICS: anomaly })
  const messages = await read(keyed)
  expect(messages).toHaveLength(tally.records.sensor)
  const partitions = new Map<string, number>()
  const newest = new Map<string, number>()
  for (const { key, value, partition, timestamp } of messages) {
    const decoded = sensorProfile.read(value)
    if (!decoded.ok || decoded.kind !== 'sensor') throw new Error('a record can not be read')
    const { vehicle, ts } = decoded
    expect(key!.toString()).toBe(vehicle)
    expect(partitions.get(vehicle) ?? partition).toBe(partition)
    expect(newest.get(vehicle) ?? 0).toBeLessThanOrEqual(ts)
    expect(Number(timestamp)).toBe(ts)
    partitions.set(vehicle, partition)
    newest.set(vehicle, ts)
  }
  expect(partitions.size).toBe(40)
  expect(new Set(partitions.values()).size).toBe(3)
  const anomalies = await read(anomaly)
  expect(anomalies).toHaveLength(tally.records.anomaly)
  for (const { value } of anomalies) expect(anomalyProfile.read(value)).toMatchObject({ ok: true })
  // What took thirty seconds of its life is over by now, for nobody believes records out of the future.
  expect(Math.max(...newest.values())).toBeLessThanOrEqual(Date.now())
})

test('without keys records go everywhere', async () => {
  await simulate(['--to', to, '--keyless'], { SENSOR_TOPICS: keyless, ANOMALY_TOPICS: anomaly })
  const messages = await read(keyless)
  expect(messages.every(({ key }) => key === null)).toBe(true)
  expect(new Set(messages.map(({ partition }) => partition)).size).toBe(3)
})

test('both producers write into their own topics', async () => {
  const topics = { SENSOR_TOPICS: both, SENSOR_V5_TOPICS: old, ANOMALY_TOPICS: anomaly }
  const tally = await simulate(['--to', to, '--producer', 'both'], topics)
  const [six, five] = [await read(both), await read(old)]
  expect([six.length, five.length]).toEqual([tally.records.sensor, tally.records['sensor-v5']])
  for (const { value } of six.slice(0, 200)) expect(sensorProfile.read(value)).toMatchObject({ ok: true })
  const profile = sensorV5Profile('UTC')
  for (const { value } of five.slice(0, 200)) expect(profile.read(value)).toMatchObject({ ok: true })
})

test('records in an envelope are what a topic profile reads', async () => {
  await simulate(['--to', to, '--envelope', 'host-ip'], { SENSOR_TOPICS: envelope, ANOMALY_TOPICS: anomaly })
  const profile = compileProfile(
    {
      name: 'envelope',
      kind: 'sensor',
      envelope: { form: 'pnda', fields: 'src+host_ip' },
      payload: { form: 'avro', schema: 'sensor' },
    },
    () => Buffer.alloc(0),
  )
  for (const { value } of await read(envelope)) expect(profile.read(value)).toMatchObject({ ok: true })
})

test('a topic that is not there is said at once, by its name', async () => {
  await expect(simulate(['--to', to], { SENSOR_TOPICS: `${run}-nowhere`, ANOMALY_TOPICS: anomaly })).rejects.toThrow(
    `Kafka has no topic ${run}-nowhere`,
  )
})
