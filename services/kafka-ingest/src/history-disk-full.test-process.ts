// Writes a history onto a disk that is full, then has room: see history-disk-full.test.ts. argv: a folder on that disk.
import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { appendFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { openHistory } from './history.ts'
import { createInterpreter } from './interpret.ts'
import type { RawRecord } from './record-source.ts'

const directory = process.argv[2]!
const ballast = join(directory, 'ballast')
const timestamp = Date.UTC(2024, 5, 1, 12)
const records = Array.from({ length: 1_000 }, (_, offset): RawRecord => {
  const record = { timestamp, sensor_group: '', sensor: 's', uuid: 'v', value: `l: ${offset}`, src: '' }
  return { topic: 'raw', profile: sensorProfile, partition: 0, offset, value: encodeRecord.sensor(record), timestamp }
})

function fill(): void {
  for (const size of [65_536, 1])
    try {
      for (;;) appendFileSync(ballast, Buffer.alloc(size))
    } catch {
      // Full, but for less than that.
    }
}

async function count(): Promise<unknown> {
  await using parts = new AsyncDisposableStack()
  const warehouse = parts.adopt(await createDuckdbWarehouse({ directory }), (it) => it.close())
  const options = { signal: new AbortController().signal, deadlineMs: 10_000, maxRows: 1 }
  const sql = 'SELECT count(*), count(DISTINCT value) FROM sensor_history'
  for await (const { values } of warehouse.query(sql, options)) return values.map(([cell]) => cell)
  return undefined
}

const history = await openHistory(
  { store: await openFileStore(directory), flushIntervalMs: 10, flushRows: 100 },
  {
    interpret: createInterpreter({ earliestTs: 0, maxAheadMs: 0 }),
    metrics: createMetrics('test'),
    logger: createLogger('test', 'silent'),
  },
)
const accept = (from: number, to: number, signal = AbortSignal.timeout(60_000)) =>
  history.consumer.accept(records.slice(from, to), signal)

await accept(0, 100)
while ([...history.consumer.safePositions!()].length === 0) await delay(5)
fill()
await accept(100, 200)
while (history.failing() === undefined) await delay(5)
const failing = history.failing()
await accept(200, 300)
const isWaiting = await accept(300, 400, AbortSignal.timeout(300)).then(
  () => false,
  () => true,
)
const safeWhileFull = [...history.consumer.safePositions!()]
const drafts = readdirSync(join(directory, '.incoming')).length
const countWhileFull = await count()
rmSync(ballast)
await accept(300, 1_000)
await history[Symbol.asyncDispose]()
process.stdout.write(
  JSON.stringify({
    failing,
    isWaiting,
    safeWhileFull,
    drafts,
    countWhileFull,
    failingAfter: history.failing() ?? 'nothing',
    countAfter: await count(),
  }),
)
