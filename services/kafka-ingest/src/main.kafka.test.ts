import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configSchema, optionNames, simulateOptionNames, simulateSchema } from './config.ts'
import { start } from './main.ts'
import { start as startSimulator } from './simulate.ts'

const brokers = process.env['KAFKA_BROKERS']
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')

const run = Math.random().toString(36).slice(2, 8)
const environment = {
  KAFKA_BROKERS: brokers,
  KAFKA_GROUP: `ingest-${run}`,
  SENSOR_TOPICS: `sensor-${run}`,
  ANOMALY_TOPICS: `anomaly-${run}`,
  SIMULATOR_VEHICLES: '30',
  PORT: '0',
}
const topics = [environment.SENSOR_TOPICS, environment.ANOMALY_TOPICS]
const admin = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).admin()
const logger = createLogger('test', 'silent')

beforeAll(async () => {
  await admin.connect()
  await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 4 })), waitForLeaders: true })
})
afterAll(async () => {
  await admin.deleteTopics({ topics })
  await admin.disconnect()
})

test('a simulated fleet drives through a real Kafka into the log', async () => {
  const log = createMemoryLog()
  const vehicles = new Set<string>()
  let lateEntries = 0
  await log.follow({
    onSnapshot: () => {},
    onEntries: (entries) => {
      for (const { vehicle, isLate } of entries) {
        vehicles.add(vehicle)
        if (isLate) lateEntries += 1
      }
    },
  })
  const config = readConfig(configSchema, environment, optionNames)
  await using ingest = await start(config, { log, logger })
  const ready = async () => (await fetch(`${ingest.url}/readyz`)).status
  await expect.poll(ready, { timeout: 20_000 }).toBe(200)
  await using fleet = await startSimulator(readConfig(simulateSchema, environment, simulateOptionNames), { logger })
  await expect.poll(() => vehicles.size, { timeout: 20_000 }).toBe(30)
  expect(fleet).toBeDefined()
  // A vehicle's records have its key, so they keep their order.
  expect(lateEntries).toBe(0)
})
