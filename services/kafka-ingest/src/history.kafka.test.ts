import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import { Kafka, logLevel } from 'kafkajs'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { openHistory } from './history.ts'
import { createInterpreter } from './interpret.ts'
import { createKafkaSource } from './source-kafka.ts'
import { parseTopics } from './topics.ts'

const brokers = process.env['KAFKA_BROKERS']?.split(',')
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')

const topic = `history-${process.pid}-${Date.now().toString(36)}`
const partitions = 4
const kafka = new Kafka({ clientId: 'test', brokers, logLevel: logLevel.NOTHING })
const admin = kafka.admin()
const producer = kafka.producer()
const logger = createLogger('test', 'silent')
const directory = mkdtempSync(join(tmpdir(), 'history-kafka-'))
const never = new AbortController().signal
let warehouse: Warehouse
let produced = 0

beforeAll(async () => {
  await admin.connect()
  await producer.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true })
  warehouse = await createDuckdbWarehouse({ directory })
})
afterAll(async () => {
  await warehouse.close()
  await admin.deleteTopics({ topics: [topic] })
  await producer.disconnect()
  await admin.disconnect()
  rmSync(directory, { recursive: true })
})

async function produce(records: number): Promise<void> {
  const messages = Array.from({ length: records }, () => {
    const number = produced++
    const timestamp = Date.UTC(2024, 0, 1 + (number % 3))
    const record = { timestamp, sensor_group: '', sensor: 's', uuid: 'v', value: `l: ${number}`, src: '' }
    return { value: encodeRecord.sensor(record), partition: number % partitions }
  })
  await producer.send({ topic, messages })
}

async function member() {
  const history = await openHistory(
    { store: await openFileStore(directory), flushIntervalMs: 100, flushRows: 500 },
    {
      interpret: createInterpreter({ earliestTs: 0, maxAheadMs: 0 }),
      metrics: createMetrics('test'),
      logger,
    },
  )
  const stopping = new AbortController()
  const topics = [{ profile: sensorProfile, ...parseTopics(topic) }]
  const source = createKafkaSource(
    { brokers: brokers!, group: topic, start: 'earliest', topics, topicCheckMs: 1_000, sessionTimeoutMs: 10_000 },
    logger,
  )
  const work = history.consume(source, stopping.signal)
  return {
    stop: async () => {
      stopping.abort()
      await work
      await history[Symbol.asyncDispose]()
    },
  }
}

async function count(): Promise<unknown[]> {
  const sql = 'SELECT count(*), count(DISTINCT value) FROM sensor_history'
  for await (const { values } of warehouse.query(sql, { signal: never, deadlineMs: 10_000, maxRows: 1 }))
    return values.map(([cell]) => cell)
  return []
}
const untilWritten = () => vi.waitUntil(async () => (await count())[1] === produced, { timeout: 40_000, interval: 200 })

test('members come and go, and each record is written exactly once', async () => {
  await produce(2_000)
  const first = await member()
  await untilWritten()
  const second = await member()
  for (let round = 0; round < 5; round++) await produce(400)
  await untilWritten()
  await produce(1_000)
  await first.stop()
  await produce(1_000)
  await untilWritten()
  await second.stop()
  expect(await count()).toEqual([produced, produced])

  const offsets = await admin.fetchOffsets({ groupId: topic, topics: [topic] })
  expect(offsets[0]?.partitions.map(({ offset }) => Number(offset))).toEqual(
    Array.from({ length: partitions }, () => produced / partitions),
  )
})
