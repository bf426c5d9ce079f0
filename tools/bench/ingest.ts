import { Kafka, logLevel } from 'kafkajs'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../servers/daemon.ts'
import { createTopics, startKafka } from '../servers/kafka.ts'
import { startRedis } from '../servers/redis.ts'
import { say, Sentence } from '../servers/run.ts'
import { alternate, cpuSeconds, printResult, rssMb, type Bench } from './measure.ts'
import { linesOf, measuredCore, pin, pinToLoad, runPinned, script, until } from './processes.ts'
import { typicalRecord, vehicles } from './typical-records.ts'

const topic = 'bench.sensor'
const manyRecords = 2_000_000
const partitions = 4

/** Each vehicle says everything once in five seconds, keyless: one after the other, into the partitions in turn. */
async function produce(brokers: string, records: number): Promise<void> {
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
        return { partition: number % partitions, value: typicalRecord(number, start + number) }
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

async function runIngest(brokers: string, redisUrl: string, records: number) {
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
    // Seldom: who is asked for its metrics does nothing else meanwhile.
    while ((await count()) < records) await sleep(250)
    return between(pid, first, mark(pid, records))
  } finally {
    ingest.kill()
  }
}

/** A peer says how many records it has seen, at the first ones and at the last. */
async function runPeer(peer: ChildProcess) {
  const pid = peer.pid!
  const lines = linesOf(peer)
  const count = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Sentence('a peer ended before it had read everything')
    return Number(value)
  }
  try {
    const first = mark(pid, await count())
    return between(pid, first, mark(pid, await count()))
  } finally {
    peer.kill()
  }
}

/**
 * From Kafka to the live log in Redis, against consumers that do nothing with what they read, and a program that publishes
 * each record by itself. KAFKA_PYTHON names a Python with kafka-python, the client library of the old system.
 */
export async function benchIngest({ dir, rounds, isQuick, cleanup }: Bench): Promise<void> {
  const records = isQuick ? manyRecords / 20 : manyRecords
  const redis = await startRedis({ dir: join(dir, 'redis'), port: await freePort(), isPersistent: false })
  cleanup.defer(() => redis.stop())
  const kafka = await startKafka({ dir: join(dir, 'kafka'), port: await freePort(), controllerPort: await freePort() })
  cleanup.defer(() => kafka.stop())
  await produce(kafka.url, records)
  await pinToLoad(redis, kafka)
  const node = (name: string, count: number, ...more: string[]) =>
    runPeer(runPinned(measuredCore, [script(name), kafka.url, topic, String(count), ...more]))
  const python = process.env['KAFKA_PYTHON']
  if (python === undefined) say('KAFKA_PYTHON names no Python with kafka-python: that peer is left out')
  const contestants: Record<string, () => Promise<ReturnType<typeof between>>> = {
    'kafka-ingest': () => runIngest(kafka.url, redis.url, records),
    'kafkajs, no-op': () => node('kafkajs-noop.ts', records),
    // So many are enough to see what each costs.
    'kafkajs, one by one': () => node('eachmessage-publish.ts', records / 10, redis.url),
    ...(python !== undefined && {
      'kafka-python, no-op': () =>
        runPeer(pin(measuredCore, [python, script('kafka_python_noop.py'), kafka.url, topic, String(records)])),
    }),
  }
  const { 'kafka-ingest': own, ...peers } = await alternate(rounds, contestants)
  const ours = own!['CPU µs / record']
  const ratios = Object.entries(peers).map(
    ([name, row]) => [`CPU per record, ours / ${name}`, ours / row['CPU µs / record']] as const,
  )
  printResult({
    title: 'ingest: from Kafka to the live log',
    conditions: { records, partitions, vehicles, form: 'sensor', rounds },
    rows: { 'kafka-ingest': own!, ...peers },
    ratios: Object.fromEntries(ratios),
  })
}
