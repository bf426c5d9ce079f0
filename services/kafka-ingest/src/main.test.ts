import type { Entry } from '@flasktoria/live-log/log'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { configSchema, optionNames } from './config.ts'
import { encodeRecord } from './encode.ts'
import { start, type Overrides } from './main.ts'
import type { RawRecord, RecordSource } from './record-source.ts'

const logger = createLogger('test', 'silent')
const sensorRecord = (uuid: string, offset: number): RawRecord => {
  const timestamp = Date.now()
  const value = encodeRecord.sensor({
    timestamp,
    sensor_group: 'g',
    sensor: 's',
    uuid,
    value: `l: ${offset}`,
    src: 's',
  })
  return { topic: 't', profile: sensorProfile, partition: 0, offset, value, timestamp }
}
const configOf = (environment: Record<string, string>) =>
  readConfig(configSchema, { PORT: '0', ...environment }, optionNames)

/** The service in this process, with a log in memory that someone follows. */
const startWith = async (environment: Record<string, string>, overrides: Overrides = {}) => {
  const log = createMemoryLog()
  const entries: Entry[] = []
  await log.follow({ onSnapshot: () => {}, onEntries: (more) => void entries.push(...more) })
  const service = await start(configOf(environment), { log, logger, ...overrides })
  const get = async (path: string) => {
    const response = await fetch(`${service.url}${path}`)
    return { status: response.status, body: await response.text() }
  }
  return { service, entries, get, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() }
}

test('a simulated fleet reaches the log', async () => {
  await using ingest = await startWith({ SOURCE: 'simulator', SIMULATOR_VEHICLES: '20' })
  await expect.poll(() => new Set(ingest.entries.map(({ vehicle }) => vehicle)).size, { timeout: 5_000 }).toBe(20)
  expect(new Set(ingest.entries.map(({ kind }) => kind))).toContain('position')
  expect(await ingest.get('/readyz')).toEqual({
    status: 200,
    body: JSON.stringify({ status: 'ok', checks: { source: 'ok', log: 'ok' } }),
  })
  expect((await ingest.get('/metrics')).body).toContain('flasktoria_records_total{topic="simulator.sensor"')
})

test('a recording reaches the log; its dirt is a dead letter', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ingest-'))
  const RECORDING_FILE = join(folder, 'two.csv')
  const rows = ['a-1,1,gps_coordinates,"[1,2]"', 'a-1,1,gps_coordinates,"[0,0]"', 'a-1,2,pid_13_mode_1,3']
  writeFileSync(RECORDING_FILE, `vehicle_id,timestamp_ms,sensor,value\n${rows.join('\n')}\n`)
  await using ingest = await startWith({ SOURCE: 'recording', RECORDING_FILE })
  await expect
    .poll(() => ingest.entries.map(({ kind }) => kind))
    .toEqual(['position', 'sensordata', 'sensorstatus', 'vehiclestatus'])
  expect(JSON.parse((await ingest.get('/dead-letters')).body)).toMatchObject([{ reason: 'no_fix', topic: 'recording' }])
  rmSync(folder, { recursive: true })
})

test('a vehicle that falls silent is stale, then offline, and online when it reports again; each is said once', async () => {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>()
  let report = async () => {}
  const source: RecordSource = {
    run: async (consumer, signal) => {
      let offset = 0
      report = () => consumer.accept([sensorRecord('car-1', offset++)], signal)
      await stopped
    },
    state: () => ({ failing: undefined, lagRecords: null, lagMs: null }),
  }
  const environment = {
    SOURCE: 'simulator',
    STALE_MIN_MS: '1000',
    STALE_MAX_MS: '2000',
    OFFLINE_MIN_MS: '2000',
    OFFLINE_MAX_MS: '4000',
  }
  await using ingest = await startWith(environment, { source })
  const said = () =>
    ingest.entries.flatMap(({ kind, json }) => (kind === 'vehiclestatus' ? [JSON.parse(json).value as string] : []))
  await expect.poll(() => report().then(said)).toEqual(['online'])
  await expect.poll(said, { timeout: 10_000 }).toEqual(['online', 'stale', 'offline'])
  expect((await ingest.get('/metrics')).body).toContain(
    'flasktoria_vehicles{status="offline",service="kafka-ingest"} 1',
  )
  await report()
  await expect.poll(said).toEqual(['online', 'stale', 'offline', 'online'])
  stop()
})

test('the hubs are told how fresh the data is, and that it is no longer waited for when the service ends', async () => {
  const feeds = createMemoryFeeds()
  const folder = mkdtempSync(join(tmpdir(), 'ingest-'))
  const ingest = await startWith(
    { SOURCE: 'simulator', HISTORY_DIR: folder, HISTORY_FLUSH_INTERVAL_MS: '600000' },
    { feeds },
  )
  const newest = async () => (await feeds.read())[0]
  await expect.poll(newest, { timeout: 5_000 }).toMatchObject({
    kafkaLagRecords: null,
    kafkaLagMs: null,
    newestEventTs: expect.toSatisfy((ts: number) => Math.abs(Date.now() - ts) < 5_000),
    warehouseLagMs: expect.toSatisfy((lagMs: number) => lagMs > 0 && lagMs < 5_000),
  })
  await ingest[Symbol.asyncDispose]()
  expect(await feeds.read()).toMatchObject([{ newestEventTs: null, warehouseLagMs: null }])
  rmSync(folder, { recursive: true })
})

test('a source that fails for good is told, and the service is no longer ready', async () => {
  const failures: unknown[] = []
  const environment = { SOURCE: 'recording', RECORDING_FILE: '/nowhere.csv' }
  await using ingest = await startWith(environment, { onFatal: (error) => failures.push(error) })
  await expect.poll(() => failures.length).toBe(1)
  const ready = await ingest.get('/readyz')
  expect(ready).toMatchObject({ status: 503 })
  expect(ready.body).toContain('there is no recording /nowhere.csv')
  expect((await ingest.get('/livez')).status).toBe(200)
})

test('other paths and methods', async () => {
  await using ingest = await startWith({ SOURCE: 'simulator' })
  expect((await ingest.get('/nothing')).status).toBe(404)
  expect((await fetch(`${ingest.service.url}/readyz`, { method: 'POST' })).status).toBe(405)
})

test('without Redis, and without a log that the caller gives, it does not start', async () => {
  await expect(start(configOf({ SOURCE: 'simulator' }), { logger })).rejects.toThrow('REDIS_URL is missing')
})
