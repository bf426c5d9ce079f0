import { readConfig } from '@flasktoria/service-kit/config'
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { createRedisMutes } from '@flasktoria/live-log/mutes-redis'
import { randomUUID } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { configSchema, optionNames } from './config.ts'
import { start } from './main.ts'
import { position, reading } from './test-app.ts'

const redisUrl = process.env['REDIS_URL']
if (!redisUrl) throw new Error('REDIS_URL names no Redis; npm test starts one')
const config = readConfig(configSchema, { PORT: '0', LOG_LEVEL: 'silent', REDIS_URL: redisUrl }, optionNames)

test('it follows the live log of other processes, and hands them the mutes', async () => {
  const vehicle = `v-${randomUUID()}`
  const log = createRedisLog({ url: redisUrl })
  const mutes = createRedisMutes({ url: redisUrl })
  await using parts = new AsyncDisposableStack()
  parts.defer(() => log.close())
  parts.defer(() => mutes.close())
  await using service = await start(config)
  await vi.waitFor(async () => expect((await fetch(`${service.url}/readyz`)).status).toBe(200), { timeout: 10_000 })

  const now = Date.now()
  await log.append([position(vehicle, now, 1, 2), reading(vehicle, 'pid_47_mode_1', now, '0.1')])
  await vi.waitFor(async () => {
    const details = await (await fetch(`${service.url}/api/vehicle/${vehicle}`)).json()
    expect(details).toMatchObject({ sensordata: { fuel: [{ timestamp: now, value: 0.1 }] } })
  })
  const map = (await (await fetch(`${service.url}/api/map`)).json()) as { vehicles: object[]; updateWebSocket: string }
  expect(map.vehicles).toContainEqual(expect.objectContaining({ id: vehicle, lat: 1, long: 2 }))

  const client = new URL(map.updateWebSocket).searchParams.get('client')!
  const response = await fetch(`${service.url}/api/wsctl?client=${client}`, {
    method: 'POST',
    body: JSON.stringify([{ action: 'stop', update_type: 'position', vehicle_id: vehicle, sensor_id: '' }]),
  })
  expect(await response.json()).toEqual([{ success: true }])
  expect(await mutes.read(client)).toEqual([{ kind: 'position', vehicle, sensor: '', isMuted: true }])
})

test('without Redis it stays alive, refuses to be called ready, and wsctl is 503', async () => {
  const away = { ...config, REDIS_URL: 'redis://127.0.0.1:1' }
  await using service = await start(away)
  expect((await fetch(`${service.url}/livez`)).status).toBe(200)
  expect((await fetch(`${service.url}/readyz`)).status).toBe(503)
  expect((await fetch(`${service.url}/api/map`)).status).toBe(200)
  const body = JSON.stringify([{ action: 'stop', update_type: 'position', vehicle_id: 'v', sensor_id: '' }])
  expect((await fetch(`${service.url}/api/wsctl`, { method: 'POST', body })).status).toBe(503)
})
