import { afterAll, beforeAll, expect, test } from 'vitest'
import { stackUnderTest, type StackUnderTest } from './e2e/stack-under-test.ts'
import { executeHs2 } from './servers/hs2-client.ts'
import type { StackStatus } from './stack/status.ts'

const database = 'stack_legacy'
const given = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} names no server; npm test starts one`)
  return value
}

let stack: StackUnderTest
let status: StackStatus
let hs2Url: string

beforeAll(async () => {
  const server = new URL(given('HS2_URL'))
  await executeHs2(server.href, () => [`CREATE DATABASE IF NOT EXISTS ${database}`])
  server.pathname = `/${database}`
  hs2Url = server.href
  stack = await stackUnderTest({
    HS2_URL: hs2Url,
    REDIS_URL: given('REDIS_URL'),
    KAFKA_BROKERS: given('KAFKA_BROKERS'),
    QUERY_DEADLINE_MS: '60000',
  })
  await stack.up('--tables', 'legacy', '--simulate', '20')
  status = await stack.status()
}, 600_000)

afterAll(async () => {
  await stack?.remove()
  await executeHs2(given('HS2_URL'), () => [`DROP DATABASE IF EXISTS ${database} CASCADE`])
})

const get = async (path: string): Promise<unknown> => (await fetch(new URL(path, status.origin))).json()

test('servers that the environment names are used, and are not the stack’s own', () => {
  expect(status.kafka.brokers).toBe(process.env['KAFKA_BROKERS'])
  expect(status.redis.url).toBe(process.env['REDIS_URL'])
  expect(status.hs2).toEqual({ host: '127.0.0.1', port: Number(new URL(hs2Url).port), auth: 'NOSASL' })
  const names = new Set(status.services.map(({ name }) => name))
  expect([...names].toSorted()).toEqual(['kafka-ingest', 'nginx', 'query-api', 'stream-hub'])
})

test('a simulated fleet drives on the map', async () => {
  const vehicles = async () => ((await get('/api/map')) as { vehicles: unknown[] }).vehicles.length
  await expect.poll(vehicles, { timeout: 60_000, interval: 500 }).toBe(20)
})

test('history comes from the old tables, labelled values and text times included', async () => {
  await executeHs2(hs2Url, () => [
    `INSERT INTO sensor VALUES
       ('1490072404000', 'pid_13_mode_1', 'old-bus', 'Vehicle Speed: 27.36'),
       ('1490072524000', 'pid_13_mode_1', 'old-bus', 'Vehicle Speed: 31'),
       ('1490072524000', 'pid_200_mode_1', 'old-bus', 'Gear Selection: drive')`,
    `INSERT INTO anomaly VALUES (1490072500000, '2017-03-21 05:01:40', '2017-03-21 05:02:00', 'pid_5_mode_1', 'old-bus', 4)`,
  ])
  const period = 'start_ts=1490072404000&end_ts=1490072524000'
  expect(await get(`/api/sensordata/old-bus?sensor_ids=pid_13_mode_1,pid_200_mode_1&${period}`)).toEqual({
    pid_13_mode_1: [
      { timestamp: 1_490_072_524_000, value: 31 },
      { timestamp: 1_490_072_404_000, value: 27.36 },
    ],
    pid_200_mode_1: [],
  })
  expect(await get(`/api/anomalies?${period}`)).toEqual([
    expect.objectContaining({ vehicle_id: 'old-bus', detection_timestamp: '2017-03-21 05:01:40' }),
  ])
})

test('up again leaves what runs as it is', async () => {
  await stack.up('--tables', 'legacy', '--simulate', '20')
  expect(await stack.status()).toEqual(status)
})
