import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { historyTables } from '@flasktoria/warehouse/history-layout'
import { openFileStore } from '@flasktoria/warehouse/history-store-file'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createHistoryMetrics } from './history-metrics.ts'
import { HistoryRetention } from './history-retention.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const { sensor, anomaly } = historyTables
const file = { stream: 'raw-0', first: 0, last: 9 }

async function open(days: number, forget?: (table: string, day: number, remove: () => Promise<void>) => Promise<void>) {
  const directory = mkdtempSync(join(tmpdir(), 'history-retention-'))
  const store = await openFileStore(directory)
  for (const day of [20261120, 20261121, 20261122, 20261123, 20261124])
    for (const table of [sensor, anomaly]) await store.put({ table, day }, file, Buffer.from('x'))
  const clock = { now: Date.UTC(2026, 10, 24, 0, 30) }
  const retention = new HistoryRetention(days, {
    store,
    forget,
    metrics: createHistoryMetrics(createMetrics('test')),
    logger: createLogger('test', 'silent'),
    now: () => clock.now,
  })
  cleanups.push(
    () => rmSync(directory, { recursive: true }),
    () => retention.close(),
  )
  return { store, clock, retention, days: () => Promise.all([store.listDays(sensor), store.listDays(anomaly)]) }
}

test('days that happened longer ago than they are kept are removed, of both tables', async () => {
  const { retention, days } = await open(2)
  await retention.sweep()
  expect(await days()).toEqual([
    [20261122, 20261123, 20261124],
    [20261122, 20261123, 20261124],
  ])
})

test('an old day that is being filled in stays until nothing has come for an hour', async () => {
  const { retention, days, clock } = await open(2)
  retention.note('sensor', 20261120)
  clock.now += 3_599_999
  await retention.sweep()
  expect((await days())[0]).toEqual([20261120, 20261122, 20261123, 20261124])
  clock.now += 1
  await retention.sweep()
  expect((await days())[0]).toEqual([20261122, 20261123, 20261124])
})

test('an engine forgets a day before its files go; while it cannot, they stay', async () => {
  const seen: unknown[] = []
  let isBroken = true
  const { retention, days, store } = await open(3, async (table, day, remove) => {
    if (isBroken) throw new Error('no engine')
    seen.push([table, day, await store.listFiles({ table: historyTables[table as 'sensor'], day })])
    await remove()
  })
  await retention.sweep()
  expect((await days())[0]).toHaveLength(5)
  isBroken = false
  await retention.sweep()
  expect(seen).toEqual([
    ['sensor', 20261120, ['raw-0-0-9.parquet']],
    ['anomaly', 20261120, ['raw-0-0-9.parquet']],
  ])
  expect((await days())[1]).toEqual([20261121, 20261122, 20261123, 20261124])
})
