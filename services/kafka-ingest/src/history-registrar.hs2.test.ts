import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { refreshStatements, tableName, tableProfiles } from '@flasktoria/warehouse/table-profile'
import { createHs2Warehouse, type Hs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { openHistory } from './history.ts'
import { createInterpreter } from './interpret.ts'
import type { RawRecord } from './record-source.ts'

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

const database = `registrar_${process.pid}_${Date.now().toString(36)}`
const own = { ...tableProfiles.own, database }
const directory = mkdtempSync(join(tmpdir(), 'history-registrar-'))
const signal = AbortSignal.timeout(600_000)
let warehouse: Hs2Warehouse

beforeAll(async () => {
  warehouse = await createHs2Warehouse({
    url,
    maxWaitMs: 60_000,
    openSessionWithinMs: 60_000,
    refresh: { statements: (dialect) => refreshStatements(dialect, own), everyMs: 0 },
  })
  await warehouse.execute(`CREATE DATABASE ${warehouse.dialect.identifier(database)}`, { signal, deadlineMs: 60_000 })
})
afterAll(async () => {
  const drop = `DROP DATABASE IF EXISTS ${warehouse.dialect.identifier(database)} CASCADE`
  await warehouse.execute(drop, { signal, deadlineMs: 60_000 })
  await warehouse.close()
  rmSync(directory, { recursive: true })
})

const ts = Date.UTC(2024, 5, 1, 12)
const reading = (offset: number, timestamp: number): RawRecord => {
  const record = { timestamp, sensor_group: '', sensor: 's', uuid: 'v', value: `l: ${offset}`, src: '' }
  return { topic: 'raw', profile: sensorProfile, partition: 0, offset, value: encodeRecord.sensor(record), timestamp }
}

const open = async (options: { retentionDays?: number } = {}) =>
  openHistory(
    {
      store: await openFileStore(directory),
      flushIntervalMs: 50,
      flushRows: 1_000,
      register: { warehouse, database },
      ...options,
    },
    {
      interpret: createInterpreter({ earliestTs: 0, maxAheadMs: 0 }),
      metrics: createMetrics('test'),
      logger: createLogger('test', 'silent'),
    },
  )

/** The values that the engine sees; undefined as long as it knows no table. */
async function seen(): Promise<unknown[] | undefined> {
  const sql = `SELECT value FROM ${tableName(warehouse.dialect, own, own.sensor)} ORDER BY value`
  const values: unknown[] = []
  try {
    for await (const batch of warehouse.query(sql, { signal, deadlineMs: 60_000, maxRows: 100 }))
      values.push(...batch.values[0]!)
    return values
  } catch {
    return undefined
  }
}
const untilSeen = (values: number[]) =>
  vi.waitUntil(async () => JSON.stringify(await seen()) === JSON.stringify(values), { timeout: 120_000, interval: 500 })

test('the engine sees the tables, and each new day, without anybody telling it', { timeout: 400_000 }, async () => {
  const first = await open()
  await first.consumer.accept([reading(0, ts), reading(1, ts - 86_400_000)], signal)
  await untilSeen([0, 1])
  await first.consumer.accept([reading(2, ts), reading(3, ts + 86_400_000)], signal)
  await untilSeen([0, 1, 2, 3])
  await first[Symbol.asyncDispose]()

  const again = await open()
  await again.consumer.accept([reading(4, ts + 2 * 86_400_000)], signal)
  await untilSeen([0, 1, 2, 3, 4])
  await again[Symbol.asyncDispose]()
  expect(await seen()).toEqual([0, 1, 2, 3, 4])
})

test(
  'the engine forgets days that are older than they are kept, before their files go',
  { timeout: 400_000 },
  async () => {
    await using history = await open({ retentionDays: 1 })
    await untilSeen([])
    await history.consumer.accept([reading(5, Date.now())], signal)
    await untilSeen([5])
    expect(await seen()).toEqual([5])
  },
)
