import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { createRedisMutes } from '@flasktoria/live-log/mutes-redis'
import { readConfig } from '@flasktoria/service-kit/config'
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { configSchema, optionNames } from './config.ts'
import { start } from './main.ts'
import { anomaly, position } from './test-hub.ts'
import { eventually, TestSocket } from './test-socket.ts'

const redisUrl = process.env['REDIS_URL']
if (!redisUrl) throw new Error('REDIS_URL names no Redis; npm test starts one')
const config = readConfig(
  configSchema,
  { PORT: '0', LOG_LEVEL: 'silent', DRAIN_MS: '50', REDIS_URL: redisUrl },
  optionNames,
)

test('two hubs follow the live log of another process: a client resumes on either, and its mutes go with it', async () => {
  const [vehicle, muted, client] = [`v-${randomUUID()}`, `v-${randomUUID()}`, randomUUID()]
  await using parts = new AsyncDisposableStack()
  const own = <T extends { close(): Promise<void> }>(part: T): T => parts.adopt(part, (it) => it.close())
  const log = own(createRedisLog({ url: redisUrl }))
  const mutes = own(createRedisMutes({ url: redisUrl }))
  const hubs = [parts.use(await start(config)), parts.use(await start(config))]
  for (const { port } of hubs)
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200)
  const connect = async (hub: number) =>
    parts.adopt(await TestSocket.v2(`${hubs[hub]!.url}/?client=${client}`), (it) => it.end())
  const subscription = { type: 'subscribe', id: 'a', vehicles: [vehicle, muted] }

  const before = await connect(0)
  before.send(subscription)
  await before.next('snapshot')
  await log.append([position(vehicle, 1), position(muted, 1)])
  await eventually(() => before.updates.length === 2)
  await mutes.change(client, [{ kind: 'position', vehicle: muted, sensor: '', isMuted: true }])
  const { cursor } = before.frames.findLast((frame) => frame.type === 'updates')!
  before.end()

  const missed = { ...anomaly(vehicle, 'missed'), id: randomUUID() }
  await log.append([position(vehicle, 2), position(muted, 2), missed, missed])
  const after = await connect(1)
  after.send({ ...subscription, cursor })
  await eventually(() => after.updates.length >= 2)
  expect(after.updates).toMatchObject([{ vehicle_id: vehicle, lat: 2 }, { desc: 'missed' }])
})
