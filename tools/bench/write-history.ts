// The measured program of the history writer's benchmark. argv: `write` or `interpret`, a folder, and how many records.
// Takes the same records either way; prints figures as JSON.
import { sensorProfile } from '@flasktoria/kafka-ingest/built-in-profiles'
import { openHistory } from '@flasktoria/kafka-ingest/history'
import { createInterpreter } from '@flasktoria/kafka-ingest/interpret'
import type { RawRecord, RecordConsumer } from '@flasktoria/kafka-ingest/record-source'
import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { firstOffset, historyRecords, partitions } from './history-load.ts'
import { typicalRecord } from './typical-records.ts'

const [mode, directory = '', wanted] = process.argv.slice(2)
const records = Number(wanted)
const batch = 2_000
/** What the engine learns of its own code is no part of what a record costs. */
const warmUpRecords = Math.min(400_000, records)
const firstTs = Date.UTC(2026, 10, 24)

/** One after the other in memory, as a fetch brings them, and not as millions of objects that the collector has to look at. */
function encodeAll(): { bytes: Buffer; ends: Uint32Array } {
  const bytes = Buffer.alloc(records * 128)
  const ends = new Uint32Array(records + 1)
  for (let number = 0; number < records; number++) {
    const record = typicalRecord(number, firstTs + number)
    ends[number + 1] = ends[number]! + record.copy(bytes, ends[number])
  }
  return { bytes, ends }
}

const { bytes, ends } = encodeAll()
const recordAt = (partition: number, index: number, start: number): RawRecord => {
  const number = index * partitions + partition
  const value = bytes.subarray(ends[number], ends[number + 1])
  return { topic: 'raw', profile: sensorProfile, partition, offset: start + index, value, timestamp: 0 }
}

const never = new AbortController().signal
/** Batches of one partition after the other, as a broker answers. */
async function feed(consumer: RecordConsumer, count: number, start: number): Promise<void> {
  for (let first = 0; first < count / partitions; first += batch)
    for (let partition = 0; partition < partitions; partition++)
      await consumer.accept(
        Array.from({ length: batch }, (_, index) => recordAt(partition, first + index, start)),
        never,
      )
}

const interpret = createInterpreter({ earliestTs: 0, maxAheadMs: 1e12 })
const interpretOnly: RecordConsumer & AsyncDisposable = {
  accept: async (batched) => {
    for (const record of batched) interpret(record, firstTs)
  },
  [Symbol.asyncDispose]: async () => {},
}

type Metrics = ReturnType<typeof createMetrics>

async function mergesOf({ registry }: Metrics): Promise<number> {
  const metric = await registry.getSingleMetric('flasktoria_history_merges_total')?.get()
  return metric?.values[0]?.value ?? 0
}

async function open(metrics: Metrics): Promise<RecordConsumer & AsyncDisposable> {
  if (mode === 'interpret') return interpretOnly
  const history = await openHistory(
    { store: await openFileStore(directory), flushIntervalMs: 30_000, flushRows: 200_000 },
    { interpret, metrics, logger: createLogger('bench', 'warn') },
  )
  return {
    accept: (batched, signal) => history.consumer.accept(batched, signal),
    [Symbol.asyncDispose]: () => history[Symbol.asyncDispose](),
  }
}

const written = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.parquet'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)

const seconds = ({ user, system } = process.cpuUsage()) => (user + system) / 1e6

async function run(count: number, start: number, merges: number) {
  const [cpuBefore, msBefore, bytesBefore] = [seconds(), performance.now(), written(directory)]
  const metrics = createMetrics('bench')
  const consumer = await open(metrics)
  await feed(consumer, count, start)
  // Merges count, and what is still to be written.
  for (const deadline = Date.now() + 60_000; (await mergesOf(metrics)) < merges && Date.now() < deadline;)
    await sleep(20)
  await consumer[Symbol.asyncDispose]()
  const cpu = seconds() - cpuBefore
  return {
    'k records / CPU-s': count / cpu / 1_000,
    'k records / s': count / (performance.now() - msBefore),
    'CPU µs / record': (cpu * 1e6) / count,
    merges: await mergesOf(metrics),
    'bytes / record': (written(directory) - bytesBefore) / count,
    'RSS MB': process.memoryUsage().rss / 2 ** 20,
  }
}

await run(warmUpRecords, 0, 0)
const merges = mode === 'write' && records >= historyRecords ? partitions : 0
console.log(JSON.stringify(await run(records, firstOffset, merges)))
