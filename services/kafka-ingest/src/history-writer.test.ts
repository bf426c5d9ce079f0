import { createMetrics } from '@flasktoria/service-kit/metrics'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import type { Cell } from '@flasktoria/warehouse/warehouse'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { createLogger } from '@flasktoria/service-kit/logger'
import { afterEach, expect, test, vi } from 'vitest'
import { anomalyProfile, sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { startS3 } from '@flasktoria/warehouse/s3.test-server'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { openHistory, type HistoryOptions } from './history.ts'
import { killable } from './history-writer.test-process.ts'
import { createInterpreter } from './interpret.ts'
import type { RawRecord } from './record-source.ts'

vi.setConfig({ testTimeout: 30_000 })

const never = new AbortController().signal
const interpret = createInterpreter({ earliestTs: Date.UTC(2000, 0), maxAheadMs: 300_000 })
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

function folder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'history-writer-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function open({ directory, ...options }: Partial<HistoryOptions> & { directory: string }) {
  const metrics = createMetrics('test')
  const history = await openHistory(
    { store: await openFileStore(directory), flushIntervalMs: 3_600_000, flushRows: 1_000, ...options },
    { interpret, metrics, logger: createLogger('test', 'silent') },
  )
  const counted = async (name: string) => {
    const metric = await metrics.registry.getSingleMetric(`flasktoria_history_${name}`)?.get()
    return metric?.values.reduce((sum, { value }) => sum + value, 0)
  }
  return { history, counted, accept: (records: RawRecord[]) => history.consumer.accept(records, never) }
}

/** As another process would see it. */
async function ask(directory: string, sql: string): Promise<Cell[][]> {
  const warehouse = await createDuckdbWarehouse({ directory, memoryLimitMb: 512 })
  const rows: Cell[][] = []
  for await (const { rowCount, values } of warehouse.query(sql, { signal: never, deadlineMs: 30_000, maxRows: 1e6 }))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  await warehouse.close()
  return rows
}
const offsets = async (directory: string) =>
  (await ask(directory, 'SELECT value FROM sensor_history ORDER BY value')).map(([value]) => value)

const asLines = (table: unknown[][]) => table.map((row) => JSON.stringify(row)).toSorted()

const ts = Date.UTC(2024, 5, 1, 12)
const reading = (offset: number, timestamp = ts): RawRecord => {
  const record = { timestamp, sensor_group: '', sensor: 's', uuid: 'v', value: `l: ${offset}`, src: '' }
  return { topic: 'raw', profile: sensorProfile, partition: 0, offset, value: encodeRecord.sensor(record), timestamp }
}
const readings = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => reading(from + index))
const upTo = (end: number) => Array.from({ length: end }, (_, index) => index)

test('readings, words, positions and anomalies become rows, in the folder of the day on which they happened', async () => {
  const directory = folder()
  const { history, counted } = await open({ directory })
  const values = [
    ['pid_13_mode_1', 'Speed: 12.30', ts],
    ['pid_200_mode_1', 'Gear: D', ts - 86_400_000],
    ['gps_coordinates', 'GPS: [30.472160,-97.801800]', ts],
    ['gps_coordinates', 'GPS: [30.4,1555.6]', ts],
  ] as const
  const sensors = values.map(([sensor, value, timestamp], offset): RawRecord => {
    const record = { timestamp, sensor_group: '', sensor, uuid: 'v', value, src: '' }
    return { topic: 'raw', profile: sensorProfile, partition: 0, offset, value: encodeRecord.sensor(record), timestamp }
  })
  const anomaly = encodeRecord.anomaly({
    timestamp: ts,
    detection_time: 'd',
    confirmation_time: 'c',
    sensor_group: '',
    sensor: 's',
    uuid: 'v',
    anomaly_id: 9,
    rootCause: 'r',
    recommendation: 'x',
    src: '',
  })
  await history.consumer.accept(sensors, never)
  await history.consumer.accept(
    [{ topic: 'anomalies', profile: anomalyProfile, partition: 3, offset: 5, value: anomaly, timestamp: ts }],
    never,
  )
  await history[Symbol.asyncDispose]()
  expect(await ask(directory, 'SELECT * FROM sensor_history ORDER BY ts, sensor')).toEqual([
    ['v', 'pid_200_mode_1', ts - 86_400_000, null, 'D', null, null, 20240531],
    ['v', 'gps_coordinates', ts, null, '[30.472160,-97.801800]', 30.47216, -97.8018, 20240601],
    ['v', 'pid_13_mode_1', ts, 12.3, '12.30', null, null, 20240601],
  ])
  expect(await ask(directory, 'SELECT * FROM anomaly_history')).toEqual([
    ['v', 's', ts, 'd', 'c', 9, 'r', 'x', 20240601],
  ])
  expect(readdirSync(join(directory, 'anomaly/day=20240601'))).toEqual(['anomalies-3-5-5.parquet'])
  expect([await counted('rows_written_total'), await counted('records_refused_total')]).toEqual([4, 1])
})

test('a position is safe when everything before it is on the disk, not sooner', async () => {
  const directory = folder()
  const { history, accept, counted } = await open({ directory, flushRows: 100 })
  await accept(readings(0, 60))
  expect([...history.consumer.safePositions!()]).toEqual([])
  expect(await counted('pending_rows')).toBe(60)
  await accept(readings(60, 120))
  await vi.waitUntil(() => [...history.consumer.safePositions!()].length > 0, { timeout: 5_000 })
  expect([...history.consumer.safePositions!()]).toEqual([{ topic: 'raw', partition: 0, offset: 120 }])
  expect(await offsets(directory)).toEqual(upTo(120))
  await history[Symbol.asyncDispose]()
})

test('the history lags by the oldest record that is not on the disk', async () => {
  const { history, accept } = await open({ directory: folder(), flushRows: 100 })
  expect(history.lagMs()).toBe(0)
  await accept(readings(0, 60))
  await vi.waitUntil(() => (history.lagMs() ?? 0) >= 50)
  await accept(readings(60, 120))
  await vi.waitUntil(() => history.lagMs() === 0, { timeout: 5_000 })
  await history[Symbol.asyncDispose]()
})

test('the interval brings rows to the disk without a full buffer', async () => {
  const directory = folder()
  const { history, accept } = await open({ directory, flushIntervalMs: 20 })
  await accept(readings(0, 3))
  await vi.waitUntil(() => [...history.consumer.safePositions!()].length > 0, { timeout: 5_000 })
  expect(await offsets(directory)).toEqual(upTo(3))
  await history[Symbol.asyncDispose]()
})

test('records that come again, in other batches, are left out', async () => {
  const directory = folder()
  const first = await open({ directory })
  await first.accept(readings(10, 50))
  await first.history[Symbol.asyncDispose]()
  const second = await open({ directory })
  await second.accept(readings(0, 30))
  await second.accept(readings(30, 70))
  await second.history[Symbol.asyncDispose]()
  expect(await offsets(directory)).toEqual(upTo(70))
  expect(await second.counted('rows_skipped_total')).toBe(40)
})

test('after a rewind nothing is committed that was not read again, and nothing is written twice', async () => {
  const directory = folder()
  const { history, accept } = await open({ directory, flushRows: 20 })
  await accept(readings(0, 20))
  history.consumer.rewind!()
  expect([...history.consumer.safePositions!()]).toEqual([])
  await accept(readings(0, 35))
  await history[Symbol.asyncDispose]()
  expect(await offsets(directory)).toEqual(upTo(35))
})

test('runs of a source without lasting offsets do not collide', async () => {
  const directory = folder()
  for (const run of ['a', 'b']) {
    const { history, accept } = await open({ directory, run })
    await accept(readings(0, 5))
    await accept([{ ...reading(0), partition: 7 }])
    await history[Symbol.asyncDispose]()
  }
  expect(await ask(directory, 'SELECT count(*) FROM sensor_history')).toEqual([[12]])
  expect(readdirSync(join(directory, 'sensor/day=20240601'))).toHaveLength(2)
})

test('a disk that fails makes the source wait, and loses nothing', async () => {
  const directory = folder()
  // A file where the table's folder should be.
  writeFileSync(join(directory, 'sensor'), '')
  const { history, accept, counted } = await open({ directory, flushRows: 50 })
  await accept(readings(0, 50))
  await vi.waitUntil(() => history.failing() !== undefined, { timeout: 5_000 })
  expect(history.failing()).toMatch(/^the history does not reach the disk/)
  await accept(readings(50, 100))
  let isAccepted = false
  const waiting = (async () => {
    await accept(readings(100, 120))
    isAccepted = true
  })()
  await expect(history.consumer.accept(readings(100, 120), AbortSignal.timeout(300))).rejects.toThrow('timeout')
  expect(isAccepted).toBe(false)
  expect(await counted('failures_total')).toBeGreaterThan(0)
  rmSync(join(directory, 'sensor'))
  await waiting
  await history[Symbol.asyncDispose]()
  expect(history.failing()).toBeUndefined()
  expect(await offsets(directory)).toEqual(upTo(120))
})

test('beside the live path a disk that fails costs history, counted, and never time', async () => {
  const directory = folder()
  writeFileSync(join(directory, 'sensor'), '')
  const { history, accept, counted } = await open({ directory, flushRows: 50, isLossy: true, run: 'a' })
  await accept(readings(0, 50))
  await vi.waitUntil(() => history.failing() !== undefined, { timeout: 5_000 })
  await accept(readings(50, 100))
  await accept(readings(100, 120))
  expect(await counted('records_dropped_total')).toBe(20)
  rmSync(join(directory, 'sensor'))
  await history[Symbol.asyncDispose]()
  expect(await offsets(directory)).toEqual(upTo(100))
})

test('a writer that was frozen while another one took over adds nothing twice', async () => {
  const directory = folder()
  const [frozen, other] = [await open({ directory }), await open({ directory })]
  await frozen.accept(readings(0, 40))
  await other.accept(readings(0, 60))
  await other.history[Symbol.asyncDispose]()
  await frozen.history[Symbol.asyncDispose]()
  expect(await offsets(directory)).toEqual(upTo(60))
})

async function bucket() {
  const server = await startS3('bucket')
  cleanups.push(() => server.close())
  return {
    target: server.url,
    /** Its objects as files. */
    look: async () => {
      const directory = folder()
      for (const [key, content] of server.objects) {
        const path = join(directory, key.replace(/^history\//, ''))
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, content)
      }
      return directory
    },
  }
}

const disk = async () => {
  const target = folder()
  return { target, look: async () => target }
}

test.each([
  ['a folder', disk],
  ['a bucket', bucket],
])(
  'killed at any moment and started again, each record is in %s exactly once',
  { timeout: 300_000 },
  async (_, openTarget) => {
    const { target, look } = await openTarget()
    const commits = join(folder(), 'commits.json')
    const run = () => {
      const program = join(import.meta.dirname, 'history-writer.test-process.ts')
      const child = spawn(process.execPath, [program, target, commits])
      child.stderr.pipe(process.stderr)
      return child
    }
    const count = async () =>
      (await ask(await look(), 'SELECT count(*), count(DISTINCT (uuid, sensor, value)) FROM sensor_history'))[0]!
    let kills = 0
    for (let isDone = false; !isDone;) {
      const child = run()
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
      if (child.exitCode) throw new Error(`the writer ended with ${child.exitCode}`)
      if (kills < 8) {
        await Promise.race([delay(20 + Math.random() * 180), once(child, 'exit')])
        child.kill('SIGKILL')
        kills += 1
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      isDone = child.exitCode === 0
      const [rows, distinct] = await count()
      expect(rows).toBe(distinct)
    }
    const useful = killable.topics.length * killable.partitions * killable.recordsPerPartition * 0.9
    expect(await count()).toEqual([useful, useful])
    expect(kills).toBe(8)
  },
)

const recordings = process.env['RECORDINGS_DIR']
test.skipIf(!recordings)('the real recording comes back to the last digit', { timeout: 120_000 }, async () => {
  const directory = folder()
  const lines = gunzipSync(readFileSync(join(recordings!, 'real_dev_open.csv.gz')))
    .toString('utf8')
    .trim()
    .split('\n')
    .slice(1)
  const rows = lines.map(
    (line) => /^([^,]+),(\d+),([^,]+),"?([^"]*)"?$/.exec(line)!.slice(1) as [string, string, string, string],
  )
  const records = rows.map(([uuid, time, sensor, value], offset): RawRecord => {
    const record = { timestamp: Number(time), sensor_group: '', sensor, uuid, value: `${sensor}: ${value}`, src: '' }
    return {
      topic: 'raw',
      profile: sensorProfile,
      partition: 0,
      offset,
      value: encodeRecord.sensor(record),
      timestamp: 0,
    }
  })
  const { history, accept, counted } = await open({ directory, flushRows: 50_000 })
  for (let start = 0; start < records.length; start += 5_000) await accept(records.slice(start, start + 5_000))
  await history[Symbol.asyncDispose]()

  const expected = rows
    .filter((_, index) => interpret(records[index]!, Date.now()).ok)
    .map(([uuid, time, sensor, value]) => {
      const place = /^\[(.*),(.*)\]$/.exec(value)
      return place
        ? [uuid, Number(time), sensor, value, null, Number(place[1]), Number(place[2])]
        : [uuid, Number(time), sensor, value, Number(value), null, null]
    })
  expect(expected.length + (await counted('records_refused_total'))!).toBe(rows.length)
  expect(expected.length).toBeGreaterThan(200_000)
  const stored = await ask(directory, 'SELECT uuid, ts, sensor, text, value, lat, long FROM sensor_history')
  expect(asLines(stored).join('\n') === asLines(expected).join('\n')).toBe(true)
})
