import { configSchema, optionNames } from '@flasktoria/kafka-ingest/config'
import { encodeRecord } from '@flasktoria/kafka-ingest/encode'
import { start } from '@flasktoria/kafka-ingest/main'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { Redis } from 'ioredis'
import { Kafka, logLevel, type KafkaMessage } from 'kafkajs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const { KAFKA_BROKERS: brokers, REDIS_URL: redisUrl } = process.env
if (!brokers || !redisUrl) throw new Error('KAFKA_BROKERS and REDIS_URL name no servers; npm test starts them')

const run = Math.random().toString(36).slice(2, 8)
const [sensors, dead] = [`sensors-${run}`, `dead-${run}`]
// A database of its own: the list has one name.
const environment = {
  KAFKA_BROKERS: brokers,
  REDIS_URL: `${redisUrl}/5`,
  KAFKA_GROUP: `dead-letters-${run}`,
  KAFKA_START: 'earliest',
  SENSOR_TOPICS: sensors,
  ANOMALY_TOPICS: 'none',
  DEAD_LETTER_TOPIC: dead,
  PORT: '0',
}
const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const admin = kafka.admin()
const producer = kafka.producer()
const reader = kafka.consumer({ groupId: `reader-${run}` })
const redis = new Redis(environment.REDIS_URL)
const arrived: Record<string, KafkaMessage[]> = { [sensors]: [], [dead]: [] }
const eventually = { timeout: 20_000 }

beforeAll(async () => {
  await redis.flushdb()
  await Promise.all([admin.connect(), producer.connect(), reader.connect()])
  const topics = [sensors, dead].map((topic) => ({ topic, numPartitions: 2 }))
  await admin.createTopics({ topics, waitForLeaders: true })
  await reader.subscribe({ topics: [sensors, dead], fromBeginning: true })
  await reader.run({ eachMessage: async ({ topic, message }) => void arrived[topic]!.push(message) })
})
afterAll(async () => {
  await Promise.all([producer.disconnect(), reader.disconnect()])
  await admin.deleteTopics({ topics: [sensors, dead] })
  await admin.disconnect()
  redis.disconnect()
})

/** The command as a person types it. */
async function type(...args: string[]): Promise<{ said: string; code: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'dead-letters.ts'), ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += String(chunk)))
  const [code] = (await once(child, 'close')) as [number]
  return { said, code }
}

const listed = () => redis.llen('flasktoria:dead-letters')
const headersOf = (message: KafkaMessage | undefined) =>
  Object.fromEntries(Object.entries(message?.headers ?? {}).map(([name, value]) => [name, String(value)]))

test(
  'a refused record is kept whole, looked at, and sent again as it came; three times, not for ever',
  { timeout: 120_000 },
  async () => {
    const log = createMemoryLog()
    const config = readConfig(configSchema, environment, optionNames)
    await using ingest = await start(config, {
      log,
      feeds: createMemoryFeeds(),
      logger: createLogger('test', 'silent'),
    })
    const metrics = async () => (await fetch(`${ingest.url}/metrics`)).text()
    const fields = { timestamp: Date.now(), sensor_group: 'g', uuid: 'v-1', src: 's' }
    const nowhere = encodeRecord.sensor({ ...fields, sensor: 'gps_coordinates', value: 'GPS: [0,0]' })
    const garbage = Buffer.from([0xff, 0x00, 0x1b, 0x5b, 0x41])
    const key = Buffer.from([7, 255])
    await producer.send({
      topic: sensors,
      messages: [
        { partition: 1, key, value: garbage, headers: { trace: ['a', 'b'] } },
        { partition: 0, key: 'v-1', value: nowhere },
      ],
    })
    await expect.poll(listed, eventually).toBe(2)

    // The topic has them too.
    await expect.poll(() => arrived[dead]!.length, eventually).toBe(2)
    const letter = arrived[dead]!.find(({ value }) => value!.equals(garbage))
    expect(letter?.key).toEqual(key)
    expect(headersOf(letter)).toMatchObject({
      trace: 'a,b',
      'flasktoria-reason': 'malformed',
      'flasktoria-topic': sensors,
      'flasktoria-partition': '1',
      'flasktoria-offset': '0',
      'flasktoria-bytes': '5',
      'flasktoria-refused-at': expect.stringMatching(/^20\d\d-.*Z$/),
      'flasktoria-record-time': expect.stringMatching(/^20\d\d-.*Z$/),
    })

    const list = await type('list')
    expect(list).toMatchObject({ code: 0 })
    expect(list.said).toContain(`1  ${sensors}  malformed\n`)
    expect(list.said).toContain(`1  ${sensors}  no_fix\n`)
    expect(list.said).toContain('2 dead letters')
    expect(list.said).toContain('"vehicle":"v-1","sensor":"gps_coordinates"')
    expect((await type('list', '--reason', 'no_fix')).said).toContain('1 dead letters')
    const page = (await type('show', '--topic', sensors, '--reason', 'malformed')).said
    expect(page).toContain('ff 00 1b 5b 41')
    expect(page).not.toContain('\u001b')
    expect(page).toContain('header     trace: a')

    for (let replays = 1; replays <= 3; replays++) {
      // oxlint-disable-next-line no-await-in-loop -- one replay after the other
      const { said, code } = await type('replay', '--reason', 'malformed')
      expect({ said, code }).toMatchObject({ said: expect.stringContaining(`1 of 1 sent to ${sensors}`), code: 0 })
      // oxlint-disable-next-line no-await-in-loop -- it is refused again
      await expect.poll(() => arrived[dead]!.length, eventually).toBe(2 + replays)
      // oxlint-disable-next-line no-await-in-loop -- and takes the place of the old letter
      await expect.poll(listed, eventually).toBe(2)
    }
    const copies = arrived[sensors]!.filter(({ value }) => value!.equals(garbage))
    expect(copies.map(({ key: itsKey }) => itsKey)).toEqual([key, key, key, key])
    expect(copies.map((copy) => headersOf(copy)['flasktoria-replays'])).toEqual([undefined, '1', '2', '3'])
    expect(headersOf(copies[3])).toMatchObject({ trace: 'a,b' })
    expect(await type('replay', '--reason', 'malformed')).toMatchObject({
      said: expect.stringContaining('1 stay: replayed 3 times already'),
      code: 1,
    })
    expect(await listed()).toBe(2)
    expect(await metrics()).toContain(
      `flasktoria_records_rejected_total{topic="${sensors}",reason="malformed",service="kafka-ingest"} 4`,
    )
  },
)

test('what the brokers do not take stays', async () => {
  await redis.del('flasktoria:dead-letters')
  const letter = {
    reason: 'malformed',
    topic: sensors,
    partition: 99,
    offset: 1,
    recordTime: '',
    refusedAt: '',
    bytes: 1,
    value: 'eA==',
  }
  const away = { ...letter, topic: `nowhere-${run}` }
  const cut = { ...letter, bytes: 2 }
  const teleport = { ...letter, reason: 'teleport', partition: 0 }
  await redis.lpush('flasktoria:dead-letters', ...[letter, away, cut, teleport].map((one) => JSON.stringify(one)))
  const { said, code } = await type('replay')
  expect(code).toBe(1)
  expect(said).toContain(`${sensors} no longer has the partition of 1`)
  expect(said).toContain(`0 of 1 sent to nowhere-${run}`)
  expect(said).toContain('1 stay: too large to be kept whole')
  expect(said).toContain('1 stay: teleports')
  expect(await listed()).toBe(4)
  expect((await type('replay', '--reason', 'teleport')).said).toContain(`1 of 1 sent to ${sensors}`)
  expect(await redis.lrange('flasktoria:dead-letters', 0, -1)).toEqual(
    [cut, away, letter].map((one) => JSON.stringify(one)),
  )
})
