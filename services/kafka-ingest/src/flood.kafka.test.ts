import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { Redis } from 'ioredis'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configSchema, optionNames } from './config.ts'
import { encodeRecord } from './encode.ts'
import { start } from './main.ts'

const { KAFKA_BROKERS: brokers, REDIS_URL: redisUrl } = process.env
if (!brokers || !redisUrl) throw new Error('KAFKA_BROKERS and REDIS_URL name no servers; npm test starts them')

const run = Math.random().toString(36).slice(2, 8)
const [garbage, good] = [`garbage-${run}`, `good-${run}`]
const floods = 20
const floodRecords = 10_000
const goodRecords = 500
const environment = {
  KAFKA_BROKERS: brokers,
  // A database of its own: the list has one name.
  REDIS_URL: `${redisUrl}/6`,
  KAFKA_GROUP: `flood-${run}`,
  KAFKA_START: 'earliest',
  SENSOR_TOPICS: `${garbage}, ${good}`,
  ANOMALY_TOPICS: 'none',
  PORT: '0',
}
const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const admin = kafka.admin()
const producer = kafka.producer()
const redis = new Redis(environment.REDIS_URL)

beforeAll(async () => {
  await redis.flushdb()
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({ topics: [garbage, good].map((topic) => ({ topic })), waitForLeaders: true })
  const messages = Array.from({ length: floodRecords }, (_, index) => ({ value: Buffer.from([index & 255, 255, 1]) }))
  for (let flood = 0; flood < floods; flood++) {
    // oxlint-disable-next-line no-await-in-loop -- so that the producer need not hold all of it
    await producer.send({ topic: garbage, messages })
  }
  const fields = { timestamp: Date.now(), sensor_group: 'g', sensor: 's', src: 's' }
  const value = (index: number) => encodeRecord.sensor({ ...fields, uuid: `v-${index}`, value: `l: ${index}` })
  await producer.send({
    topic: good,
    messages: Array.from({ length: goodRecords }, (_, index) => ({ value: value(index) })),
  })
})
afterAll(async () => {
  await producer.disconnect()
  await admin.deleteTopics({ topics: [garbage, good] })
  await admin.disconnect()
  redis.disconnect()
})

test(
  'a topic of nothing but garbage is counted to the last record, kept in part, and keeps no good record out',
  { timeout: 120_000 },
  async () => {
    const log = createMemoryLog()
    const vehicles = new Set<string>()
    const onEntries = (entries: readonly { vehicle: string }[]) => {
      for (const { vehicle } of entries) vehicles.add(vehicle)
    }
    await log.follow({ onSnapshot: () => {}, onEntries })
    const lines: unknown[] = []
    const logger = createLogger('test', 'silent')
    logger.warn = (line: unknown) => void lines.push(line)
    await using ingest = await start(readConfig(configSchema, environment, optionNames), {
      log,
      feeds: createMemoryFeeds(),
      logger,
    })
    const startedAt = performance.now()
    const read = async (name: string) => {
      const text = await (await fetch(`${ingest.url}/metrics`)).text()
      const counts = text.split('\n').filter((line) => line.startsWith(`flasktoria_${name}{`))
      return counts.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
    }
    const rejected = floods * floodRecords
    await expect.poll(() => read('records_rejected_total'), { timeout: 50_000, interval: 100 }).toBe(rejected)
    await expect.poll(() => vehicles.size, { timeout: 20_000 }).toBe(goodRecords)
    const seconds = (performance.now() - startedAt) / 1_000
    const kinds = (await (await fetch(`${ingest.url}/metrics`)).text()).match(/records_rejected_total\{/g)!.length
    const kept = await read('dead_letters_total')
    // A hundred of each kind at once, ten a second after that.
    expect(kept).toBeGreaterThanOrEqual(100)
    expect(kept).toBeLessThanOrEqual(kinds * (100 + 10 * Math.ceil(seconds)))
    expect(await read('dead_letters_lost_total')).toBe(rejected - kept)
    await expect.poll(() => redis.llen('flasktoria:dead-letters')).toBe(Math.min(kept, 1_000))
    const refusals = lines.filter((line) => Object.hasOwn(line as object, 'reason'))
    expect(refusals.length).toBeLessThanOrEqual(kinds * Math.ceil(seconds / 10 + 1))
  },
)
