import { ConfigError, readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { LogUnavailable, type LogReader } from '@flasktoria/live-log/log'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { configSchema, optionNames } from './config.ts'
import { start } from './main.ts'
import { position, reading } from './test-app.ts'

const configOf = (environment: Record<string, string> = {}) =>
  readConfig(configSchema, { PORT: '0', LOG_LEVEL: 'silent', ...environment }, optionNames)
const getJson = async (url: string) => (await fetch(url)).json()
const mistakes = () =>
  configOf({
    PORT: '99999',
    MAX_ROWS: '0',
    REDIS_URL: 'http://x',
    SENSORS_FILE: '/nowhere',
    WAREHOUSE: 'hs2',
    HS2_URL: 'x',
  })

test('it needs no environment, and serves what the live log says', async () => {
  const log = createMemoryLog()
  const now = Date.now()
  await log.append([position('before', now, 1, 2)])
  await using service = await start(configOf(), { reader: log, mutes: createMemoryMutes() })
  await log.append([position('after', now, 3, 4), reading('after', 'pid_13_mode_1', now, '50')])
  expect(await getJson(`${service.url}/api/map`)).toMatchObject({
    vehicles: [{ id: 'before' }, { id: 'after', lat: 3, long: 4 }],
    updateWebSocket: expect.stringMatching(
      new RegExp(`^${service.url.replace('http', 'ws')}/ws\\?client=[0-9a-f-]{36}$`),
    ),
  })
  expect(await getJson(`${service.url}/api/vehicle/after`)).toMatchObject({ sensordata: { speed: [{ value: 50 }] } })
  expect(await getJson(`${service.url}/readyz`)).toMatchObject({ status: 'ok' })
})

test('it listens while the log is away, says so, and answers when it comes', async () => {
  const log = createMemoryLog()
  let failures = 1
  const reader: LogReader = {
    ...log,
    follow: (listener) => (failures-- > 0 ? Promise.reject(new LogUnavailable('away')) : log.follow(listener)),
  }
  await using service = await start(configOf(), { reader, logger: createLogger('query-api', 'silent') })
  const early = await fetch(`${service.url}/readyz`)
  expect([early.status, await early.json()]).toEqual([503, expect.objectContaining({ status: 'unready' })])
  await vi.waitFor(async () => expect((await fetch(`${service.url}/readyz`)).status).toBe(200), { timeout: 5_000 })
})

test('it ends while the log never answers', async () => {
  const never: LogReader = { ...createMemoryLog(), follow: () => new Promise(() => {}) }
  const service = await start(configOf(), { reader: never })
  await service[Symbol.asyncDispose]()
  await expect(fetch(`${service.url}/livez`)).rejects.toThrow('fetch failed')
})

test('catalogues and the warehouse come from the configuration', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'flasktoria-query-api-'))
  const file = async (name: string, content: unknown) => {
    await writeFile(join(folder, name), JSON.stringify(content))
    return join(folder, name)
  }
  const log = createMemoryLog()
  await log.append([position('car', Date.now(), 1, 2)])
  {
    await using service = await start(
      configOf({
        VEHICLES_FILE: await file('vehicles.json', { car: 'Grace' }),
        SENSORS_FILE: await file('sensors.json', [{ id: 's', name: 'Own', unit: 'x' }]),
        WAREHOUSE: 'duckdb',
        HISTORY_DIR: join(folder, 'history'),
      }),
      { reader: log },
    )
    expect(await getJson(`${service.url}/api/map`)).toMatchObject({ vehicles: [{ name: 'Grace' }] })
    expect(await getJson(`${service.url}/api/vehicle/car`)).toMatchObject({
      sensors: [{ sensor_id: 's', sensor_name: 'Own', unit: 'x' }],
    })
    expect(await getJson(`${service.url}/api/sensordata/car?sensor_ids=s&start_ts=1`)).toEqual({ s: [] })
    expect(await getJson(`${service.url}/readyz`)).toMatchObject({ checks: { warehouse: 'ok' } })
  }
  await rm(folder, { recursive: true })
})

test('a HiveServer2 that is away makes it degraded, and history 503; the live answers stay', async () => {
  const config = configOf({ WAREHOUSE: 'hs2', HS2_URL: 'hive2://127.0.0.1:1/?auth=NOSASL', TABLE_PROFILE: 'legacy' })
  await using service = await start(config, { reader: createMemoryLog() })
  const ready = await fetch(`${service.url}/readyz`)
  expect([ready.status, await ready.json()]).toEqual([200, expect.objectContaining({ status: 'degraded' })])
  expect((await fetch(`${service.url}/livez`)).status).toBe(200)
  expect((await fetch(`${service.url}/api/vehicle/v`)).status).toBe(200)
  for (const path of ['sensordata/v?sensor_ids=a&start_ts=1', 'anomalies?start_ts=1', 'cost/v']) {
    const response = await fetch(`${service.url}/api/${path}`)
    expect([response.status, response.headers.get('Retry-After')], path).toEqual([503, '2'])
    expect(await response.json()).toMatchObject({ message: 'The history is not available just now.' })
  }
  expect(await (await fetch(`${service.url}/metrics`)).text()).toContain('flasktoria_warehouse_pool{state="busy"')
})

test('a HiveServer2 that is frozen at the start keeps nobody waiting', async () => {
  const sockets: Socket[] = []
  const frozen = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(frozen, 'listening')
  const { port } = frozen.address() as AddressInfo
  const config = configOf({ WAREHOUSE: 'hs2', HS2_URL: `hive2://127.0.0.1:${port}/?auth=NOSASL` })
  const startedAt = performance.now()
  {
    await using service = await start(config, { reader: createMemoryLog() })
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    const ready = await fetch(`${service.url}/readyz`)
    expect([ready.status, await ready.json()]).toMatchObject([
      200,
      { status: 'degraded', checks: { warehouse: 'no server has answered yet' } },
    ])
    expect((await fetch(`${service.url}/api/map`)).status).toBe(200)
    expect((await fetch(`${service.url}/api/anomalies?start_ts=1`)).status).toBe(503)
    frozen.close()
    for (const socket of sockets) socket.destroy()
  }
})

test('a port that is taken is an error, not a half-started service', async () => {
  await using service = await start(configOf(), { reader: createMemoryLog() })
  const { port } = new URL(service.url)
  await expect(start(configOf({ PORT: port }), { reader: createMemoryLog() })).rejects.toThrow('EADDRINUSE')
})

test('all mistakes of a configuration are named at once', () => {
  expect(mistakes).toThrow(ConfigError)
  for (const name of ['PORT', 'MAX_ROWS', 'REDIS_URL', 'SENSORS_FILE', 'HS2_URL']) expect(mistakes).toThrow(`${name}: `)
  expect(() => configOf({ WAREHOUSE: 'oracle' })).toThrow("WAREHOUSE: Invalid discriminator value. Expected 'none'")
  expect(() => configOf({ WAREHOUSE: 'duckdb' })).toThrow('HISTORY_DIR: ')
  const duckdb = { WAREHOUSE: 'duckdb', HISTORY_DIR: '/h' }
  expect(() => configOf({ ...duckdb, DUCKDB_MEMORY_MB: '1' })).toThrow('DUCKDB_MEMORY_MB: ')
  expect(configOf(duckdb)).toMatchObject({ DUCKDB_MEMORY_MB: 256 })
})
