import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import type { Entry } from '@flasktoria/live-log/log'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompressionTypes } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort, type Server } from '../../../tools/servers/daemon.ts'
import { startOldestKafka } from '../../../tools/servers/kafka-oldest.ts'
import { configSchema, optionNames } from './config.ts'
import { encodeRecord } from './encode.ts'
import { openTestbed, type Testbed } from './kafka-testbed.ts'
import { start } from './main.ts'

const dir = mkdtempSync(join(tmpdir(), 'flasktoria-oldest-'))
const eventually = { timeout: 30_000, interval: 100 }
let kafka: Server
let bed: Testbed
beforeAll(async () => {
  kafka = await startOldestKafka({ dir, port: await freePort(), zookeeperPort: await freePort() })
  bed = await openTestbed([kafka.url])
})
afterAll(async () => {
  await bed.close()
  await kafka.kill()
  rmSync(dir, { recursive: true, force: true })
})

const sensorRecord = (uuid: string, at: number) =>
  encodeRecord.sensor({ timestamp: at, sensor_group: 'g', sensor: 'pid_13_mode_1', uuid, value: 'l: 7', src: 's' })
const anomalyRecord = (uuid: string, at: number) =>
  encodeRecord.anomaly({
    timestamp: at,
    detection_time: 'now',
    confirmation_time: 'later',
    sensor_group: 'g',
    sensor: 'pid_5_mode_1',
    uuid,
    anomaly_id: 1,
    rootCause: 'r',
    recommendation: 'c',
    src: 's',
  })

test('the whole service works with Kafka 1.1, and goes on where it stood', async () => {
  const [sensors, anomalies] = [await bed.createTopic(bed.fresh('raw'), 3), await bed.createTopic(bed.fresh('anomaly'))]
  const group = bed.fresh('group')
  const environment = {
    KAFKA_BROKERS: kafka.url,
    KAFKA_GROUP: group,
    KAFKA_START: 'earliest',
    SENSOR_TOPICS: `/${sensors}/`,
    ANOMALY_TOPICS: anomalies,
    PORT: '0',
  }
  const log = createMemoryLog()
  const entries: Entry[] = []
  await log.follow({ onSnapshot: () => {}, onEntries: (more) => void entries.push(...more) })
  const vehiclesOf = (kind: Entry['kind']) =>
    new Set(entries.flatMap((entry) => (entry.kind === kind ? [entry.vehicle] : []))).size
  const startIngest = () =>
    start(readConfig(configSchema, environment, optionNames), { log, logger: createLogger('test', 'silent') })
  const send = async (from: number, to: number) => {
    const cars = Array.from({ length: to - from }, (_, i) => `car-${from + i}`)
    const now = Date.now()
    const compressed = { compression: CompressionTypes.GZIP }
    await bed.producer.send({
      topic: sensors,
      messages: cars.map((car) => ({ value: sensorRecord(car, now) })),
      ...compressed,
    })
    await bed.producer.send({ topic: anomalies, messages: cars.map((car) => ({ value: anomalyRecord(car, now) })) })
  }

  await send(0, 50)
  const first = await startIngest()
  await expect.poll(() => [vehiclesOf('sensordata'), vehiclesOf('anomaly')], eventually).toEqual([50, 50])
  await expect.poll(async () => (await fetch(`${first.url}/readyz`)).status, eventually).toBe(200)
  await first[Symbol.asyncDispose]()
  expect(await bed.committedRecords(group, sensors)).toBe(50)
  expect(await bed.committedRecords(group, anomalies)).toBe(50)
  await send(50, 60)
  await using second = await startIngest()
  await expect.poll(() => [vehiclesOf('sensordata'), vehiclesOf('anomaly')], eventually).toEqual([60, 60])
  const metrics = await (await fetch(`${second.url}/metrics`)).text()
  // Nothing was read a second time.
  expect(metrics).toMatch(new RegExp(`flasktoria_records_total{topic="${anomalies}"[^}]*} 10$`, 'm'))
})
