import { encodeRecord } from '@flasktoria/kafka-ingest/encode'
import { Kafka, logLevel } from 'kafkajs'
import { join } from 'node:path'
import { freePort } from '../servers/daemon.ts'
import { createTopics, startKafka } from '../servers/kafka.ts'
import { startRedis } from '../servers/redis.ts'
import { say } from '../servers/run.ts'
import { alternate, cpuSeconds, printResult, rssMb, type Bench } from './measure.ts'
import { linesOf, measuredCore, runPinned, script, until } from './processes.ts'

const topic = 'bench.sensor'
const records = 400_000
const partitions = 4
const vehicles = 1_000

/** Readings of a thousand vehicles, each a tenth of a second after the one before, keyless. */
async function produce(brokers: string): Promise<void> {
  say(`producing ${records} records …`)
  await createTopics(brokers, [topic], partitions)
  const producer = new Kafka({ brokers: [brokers], logLevel: logLevel.ERROR }).producer()
  await producer.connect()
  const start = Date.now() - records
  const portion = 5_000
  for (let first = 0; first < records; first += portion)
    await producer.send({
      topic,
      messages: Array.from({ length: portion }, (_, index) => {
        const number = first + index
        return {
          partition: number % partitions,
          value: encodeRecord.sensor({
            timestamp: start + number,
            sensor_group: 'obd',
            sensor: 'pid_13_mode_1',
            uuid: `veh-${String(number % vehicles).padStart(4, '0')}`,
            value: `Vehicle Speed: ${(number % 1_200) / 10}`,
            src: 'bench',
          }),
        }
      }),
    })
  await producer.disconnect()
}

type Mark = { records: number; cpuSeconds: number; atMs: number }
const mark = (pid: number, count: number): Mark => ({
  records: count,
  cpuSeconds: cpuSeconds(pid),
  atMs: performance.now(),
})

/** From the first records to the last: what a program costs to start is left out. */
const between = (pid: number, first: Mark, last: Mark) => {
  const count = last.records - first.records
  const cpu = last.cpuSeconds - first.cpuSeconds
  return {
    'k records / CPU-s': count / cpu / 1_000,
    'k records / s': count / (last.atMs - first.atMs),
    'CPU µs / record': (cpu * 1e6) / count,
    'RSS MB': rssMb(pid),
  }
}

/** The value of a counter, over all its labels. */
async function readCounter(url: string, name: string): Promise<number> {
  const text = await fetch(url).then(
    (response) => response.text(),
    () => '',
  )
  return [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  )
}

async function runIngest(brokers: string, redisUrl: string) {
  const port = await freePort()
  const ingest = runPinned(measuredCore, ['services/kafka-ingest/src/main.ts'], {
    PORT: String(port),
    REDIS_URL: redisUrl,
    KAFKA_BROKERS: brokers,
    KAFKA_GROUP: `bench-${port}`,
    KAFKA_START: 'earliest',
    SENSOR_TOPICS: topic,
    ANOMALY_TOPICS: 'none',
    LOG_LEVEL: 'error',
  })
  const pid = ingest.pid!
  const count = () => readCounter(`http://127.0.0.1:${port}/metrics`, 'flasktoria_records_total')
  try {
    await until(async () => (await count()) > 0, 'the first record')
    const first = mark(pid, await count())
    await until(async () => (await count()) >= records, 'the last record')
    return between(pid, first, mark(pid, records))
  } finally {
    ingest.kill()
  }
}

async function runNoop(brokers: string) {
  const peer = runPinned(measuredCore, [script('kafkajs-noop.ts'), brokers, topic, String(records)])
  const pid = peer.pid!
  const lines = linesOf(peer)
  const count = async () => Number((await lines.next()).value)
  try {
    const first = mark(pid, await count())
    return between(pid, first, mark(pid, await count()))
  } finally {
    peer.kill()
  }
}

/** From Kafka to the live log in Redis, against a consumer of the same client library that does nothing with what it reads. */
export async function benchIngest({ dir, rounds, cleanup }: Bench): Promise<void> {
  const redis = await startRedis({ dir: join(dir, 'redis'), port: await freePort(), isPersistent: false })
  cleanup.defer(() => redis.stop())
  const kafka = await startKafka({ dir: join(dir, 'kafka'), port: await freePort(), controllerPort: await freePort() })
  cleanup.defer(() => kafka.stop())
  await produce(kafka.url)
  const rows = await alternate(rounds, {
    'kafka-ingest': () => runIngest(kafka.url, redis.url),
    'kafkajs, no-op': () => runNoop(kafka.url),
  })
  printResult({
    title: 'ingest: from Kafka to the live log',
    conditions: { records, partitions, vehicles, form: 'sensor', rounds },
    rows,
    ratios: {
      'CPU per record, ours / no-op':
        rows['kafka-ingest']['CPU µs / record'] / rows['kafkajs, no-op']['CPU µs / record'],
    },
  })
}
