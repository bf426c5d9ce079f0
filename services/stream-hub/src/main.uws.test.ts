import { closeCodes } from '@flasktoria/contracts/close-codes'
import { plainFrameSchema, streamLimits } from '@flasktoria/contracts/stream'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { maxRulesPerClient, type Mutes } from '@flasktoria/live-log/mutes'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { configSchema } from './config.ts'
import { start } from './main.ts'
import { anomaly, fleet, position, sensordata } from './test-hub.ts'
import { silent, startHub } from './test-service.ts'
import { eventually, TestSocket } from './test-socket.ts'

/** The status of an upgrade that is refused. */
const refusal = (opening: Promise<unknown>) =>
  opening.then(
    () => 'admitted',
    (error: Error) => /\d{3}/.exec(error.message)?.[0],
  )

describe('a client without sub-protocol', () => {
  test('gets every update that comes, as text frames of updates, and nothing else', async () => {
    const { log, plain } = await startHub()
    await log.append([position('before', 1)])
    const client = await plain('/any/path?at=all')
    await log.append([position('truck-1', 48), sensordata('truck-1', 'pid_13_mode_1', 80)])
    await log.append([anomaly('truck-2', 'low tire pressure')])
    await eventually(() => client.updates.length === 3)
    expect(client.updates.map((update) => update.update_type)).toEqual(['position', 'sensordata', 'anomaly'])
    for (const [index, text] of client.texts.entries()) {
      expect(text).toMatch(/^\{"updates":\[\{/)
      expect(Object.keys(client.frames[index]!)).toEqual(['updates', 'cursor'])
      expect(plainFrameSchema.safeParse(client.frames[index]).success).toBe(true)
    }
  })

  test('gets an update byte by byte as ingest wrote it', async () => {
    const { log, plain } = await startHub()
    const client = await plain()
    const draft = position('Лкв №1 "Ä" 🚚', 48.100_000_01)
    await log.append([draft])
    await eventually(() => client.texts.length === 1)
    expect(client.texts[0]).toContain(`{"updates":[${draft.json}]`)
  })

  test('may offer sub-protocols that nobody knows: none is selected', async () => {
    const { hub } = await startHub()
    const opening = TestSocket.begin(hub.url, { protocols: ['graphql-ws', 'flasktoria.v1'] })
    const [answer] = (await once(opening.socket, 'upgrade')) as [IncomingMessage]
    expect(answer.statusCode).toBe(101)
    expect(answer.headers).not.toHaveProperty('sec-websocket-protocol')
    opening.end()
  })

  test('may say what it likes, but not at any length', async () => {
    const { log, plain } = await startHub()
    const client = await plain()
    for (const message of ['hello', '{"type":"subscribe","id":"a"}', Buffer.from([0, 255, 1])]) client.send(message)
    for (let count = 0; count < 200; count++) client.send('{}')
    await log.append([position('truck-1', 1)])
    await eventually(() => client.updates.length === 1)
    expect(client.frames).toHaveLength(1)
    client.send('x'.repeat(streamLimits.messageBytes + 1))
    expect(await client.closed()).toBe(1009)
  })

  test('gets late readings of nobody', async () => {
    const { log, plain } = await startHub()
    const client = await plain()
    await log.append([sensordata('truck-1', 's', 2, 2_000), sensordata('truck-1', 's', 1, 1_000), position('end', 1)])
    await eventually(() => client.updates.some((update) => update.update_type === 'position'))
    expect(client.updates).toHaveLength(2)
  })
})

describe('a client that does not read', () => {
  /** More than the kernel takes for a socket. */
  const flood = async (log: ReturnType<typeof createMemoryLog>, rounds: number) => {
    for (let lat = 1; lat <= rounds; lat++) {
      await log.append(fleet(5_000, lat))
      // Lets the hub flush, so that less is conflated before it is sent.
      await sleep(30)
    }
  }

  test('holds up nobody, costs a bounded buffer, and is sent away with a code', async () => {
    const { log, plain, v2, metric } = await startHub({ SLOW_AFTER_MS: '1000' })
    const slow = await v2()
    slow.send({ type: 'subscribe', id: 'all' })
    await slow.next('snapshot')
    slow.stall()
    const others = await Promise.all([plain(), plain()])
    await flood(log, 20)
    await eventually(async () => (await metric('stream_fell_behind_total')) > 0)
    for (const other of others)
      await eventually(() => other.updates.filter((update) => 'lat' in update && update.lat === 20).length === 5_000)
    await eventually(async () => (await metric('stream_lagging_sessions')) === 0)
    slow.goOn()
    expect(await slow.closed()).toBe(closeCodes.tooSlow)
    expect(others.every(({ closeCode }) => closeCode === undefined)).toBe(true)
  })

  test('and goes on later has the present state at once, and each anomaly once', async () => {
    const { log, v2, metric } = await startHub()
    const slow = await v2()
    slow.send({ type: 'subscribe', id: 'all' })
    await slow.next('snapshot')
    slow.stall()
    await log.append([anomaly('truck-1', 'first')])
    await flood(log, 20)
    await log.append([anomaly('truck-1', 'second')])
    await eventually(async () => (await metric('stream_fell_behind_total')) > 0)
    await flood(log, 10)
    slow.goOn()
    await eventually(() => slow.updates.filter((update) => 'lat' in update && update.lat === 10).length >= 5_000)
    const latest = new Map(slow.updates.map((update) => [update.vehicle_id, update]))
    expect(latest.get('truck-4999')).toMatchObject({ lat: 10 })
    expect(slow.updates.flatMap((update) => ('desc' in update ? [update.desc] : []))).toEqual(['first', 'second'])
    expect(slow.updates.length).toBeLessThan(30 * 5_000)
  })
})

describe('a mute', () => {
  const id = 'client-of-the-test'
  const stop = { kind: 'position', vehicle: 'truck-1', sensor: '', isMuted: true } as const

  test('holds for the connections of its client, on every hub, and for nobody else', async () => {
    const { log, mutes, plain, v2 } = await startHub()
    const otherHub = await startHub({}, log, mutes)
    const muted = [
      await plain(`/ws?client=${id}`),
      await plain('/ws', { cookie: `x=1; flasktoria_client=${id}` }),
      await otherHub.plain(`/ws?client=${id}`, { cookie: 'flasktoria_client=somebody-else' }),
      await v2(`/ws?client=${id}`),
    ]
    muted[3]!.send({ type: 'subscribe', id: 'all' })
    const others = [await plain(), await plain('/ws?client=somebody-else'), await plain('/ws?client=no')]
    await mutes.change(id, [stop, { kind: 'sensordata', vehicle: 'truck-2', sensor: 's1', isMuted: true }])
    await muted[3]!.next('snapshot')
    await log.append([
      position('truck-1', 1),
      position('truck-2', 1),
      sensordata('truck-2', 's1', 1),
      sensordata('truck-2', 's2', 1),
      anomaly('truck-1', 'never muted'),
    ])
    for (const client of muted) {
      await eventually(() => client.updates.length === 3)
      expect(client.updates.map((update) => update.update_type)).toEqual(['position', 'sensordata', 'anomaly'])
    }
    for (const client of others) await eventually(() => client.updates.length === 5)
  })

  test('is known from the first frame of a connection on', async () => {
    const { log, mutes, plain } = await startHub()
    await mutes.change(id, [stop])
    const client = await plain(`/?client=${id}`)
    await log.append([position('truck-1', 1), position('truck-2', 1)])
    await eventually(() => client.updates.length > 0)
    expect(client.updates).toMatchObject([{ vehicle_id: 'truck-2' }])
  })

  test('taken back shows the present state of what it hid, and nothing else', async () => {
    const { log, mutes, plain } = await startHub()
    const client = await plain(`/?client=${id}`)
    await mutes.change(id, [stop])
    await log.append([position('truck-1', 1)])
    await log.append([position('truck-1', 2), position('truck-2', 2)])
    await eventually(() => client.updates.length === 1)
    await mutes.change(id, [{ ...stop, isMuted: false }])
    await eventually(() => client.updates.length === 2)
    expect(client.updates[1]).toMatchObject({ vehicle_id: 'truck-1', lat: 2 })
    await log.append([position('truck-1', 3)])
    await eventually(() => client.updates.length === 3)
  })
})

describe('a mute that is said on the socket', () => {
  const stop = { type: 'mute', kind: 'position', vehicle: 'truck-1' } as const
  const seen = (client: { updates: readonly { vehicle_id: string }[] }) =>
    client.updates.map((update) => update.vehicle_id)

  test('holds for every socket of its client, and later ones', async () => {
    const { log, mutes, plain, v2 } = await startHub()
    const [client, other] = [await v2('/ws?client=client-that-mutes'), await plain('/ws?client=client-that-mutes')]
    client.send(stop)
    await eventually(async () => (await mutes.read('client-that-mutes')).length === 1)
    const later = await plain('/ws?client=client-that-mutes')
    await log.append([position('truck-1', 1), position('truck-2', 1)])
    for (const socket of [other, later]) {
      await eventually(() => socket.updates.length > 0)
      expect(seen(socket)).toEqual(['truck-2'])
    }
    client.send({ ...stop, type: 'unmute' })
    await eventually(() => other.updates.length === 2)
    expect(seen(other)).toEqual(['truck-2', 'truck-1'])
  })

  test('holds for the one socket that has no client, and shows the present state when it is taken back', async () => {
    const { log, v2 } = await startHub()
    const [client, other] = [await v2(), await v2()]
    for (const socket of [client, other]) socket.send({ type: 'subscribe', id: 'all' })
    client.send(stop)
    client.send({ ...stop, kind: 'sensordata', sensor: 's1' })
    for (const socket of [client, other]) await socket.next('snapshot')
    await log.append([position('truck-1', 1), sensordata('truck-1', 's1', 1), sensordata('truck-1', 's2', 1)])
    await eventually(() => client.updates.length > 0 && other.updates.length === 3)
    expect(client.updates).toMatchObject([{ sensor_id: 's2' }])
    client.send({ ...stop, type: 'unmute' })
    await eventually(() => client.updates.length === 2)
    expect(client.updates[1]).toMatchObject({ vehicle_id: 'truck-1', lat: 1 })
  })

  test('is refused beyond what one client may mute, and while mutes cannot be kept', async () => {
    const log = createMemoryLog()
    const memory = createMemoryMutes()
    const rules = Array.from({ length: maxRulesPerClient }, (_, index) => ({
      kind: 'position' as const,
      vehicle: `v${index}`,
      sensor: '',
      isMuted: true,
    }))
    await memory.change('client-that-is-full', rules)
    const change: Mutes['change'] = (client, changes) =>
      client === 'client-without-redis' ? Promise.reject(new Error('Redis is away')) : memory.change(client, changes)
    const { v2 } = await startHub({}, log, { ...memory, change })
    for (const [client, code] of [
      ['client-that-is-full', 'too_many_mutes'],
      ['client-without-redis', 'mutes_unavailable'],
    ]) {
      const socket = await v2(`/ws?client=${client}`)
      socket.send(stop)
      expect(await socket.next('error')).toMatchObject({ code })
    }
  })
})

describe('the hub', () => {
  test('sends its clients away when it stops: v2 with a time to come back, plain with 1001', async () => {
    const { hub, plain, v2 } = await startHub()
    const [old, modern] = [await plain(), await v2()]
    const begunAt = Date.now()
    await hub[Symbol.asyncDispose]()
    expect(await old.closed()).toBe(1001)
    expect(await modern.closed()).toBe(closeCodes.draining)
    expect((await modern.next('bye')).reconnectAfterMs).toBeGreaterThanOrEqual(0)
    expect(Date.now() - begunAt).toBeLessThan(3_000)
    await expect(TestSocket.open(hub.url)).rejects.toThrow('ECONNREFUSED')
  })

  test('is live, and ready while it follows the log', async () => {
    const log = createMemoryLog()
    const { get, plain } = await startHub({}, log)
    expect((await get('/livez')).status).toBe(200)
    expect(await (await get('/readyz')).json()).toEqual({ status: 'ok', checks: { log: 'ok' } })
    await plain()
    const metrics = await (await get('/metrics')).text()
    expect(metrics).toContain('flasktoria_stream_sessions{protocol="plain",service="stream-hub"} 1')
    expect((await get('/ws')).status).toBe(404)
  })

  test('is live but takes nobody before the log was read', async () => {
    const away = { ...createMemoryLog(), follow: () => Promise.reject(new Error('client-without-redis')) }
    const { hub, get } = await startHub({}, away)
    expect((await get('/livez')).status).toBe(200)
    expect((await get('/readyz')).status).toBe(503)
    expect(await refusal(TestSocket.open(hub.url))).toBe('503')
  })

  test('refuses one connection too many, and counts it', async () => {
    const { hub, plain, metric } = await startHub({ MAX_CONNECTIONS: '1' })
    const only = await plain()
    expect(await refusal(TestSocket.open(hub.url))).toBe('503')
    expect(await metric('stream_refused_upgrades_total')).toBe(1)
    only.end()
    await eventually(async () => (await refusal(plain())) === 'admitted')
  })

  test('lets browsers of the configured origins in, and programs', async () => {
    const { hub, plain } = await startHub({ ALLOWED_ORIGINS: 'https://fleet.example, https://other.example' })
    expect(await refusal(plain('/', { origin: 'https://evil.example' }))).toBe('403')
    expect(await refusal(plain('/', { origin: 'https://other.example' }))).toBe('admitted')
    expect(await refusal(TestSocket.open(hub.url))).toBe('admitted')
  })

  test('pings, and closes a connection from which nothing comes any more', async () => {
    const { plain } = await startHub({ PING_INTERVAL_MS: '1000', IDLE_TIMEOUT_MS: '3000' })
    const [alive, dead] = [await plain(), await plain()]
    dead.stall()
    await once(alive.socket, 'ping')
    await sleep(4_500)
    dead.goOn()
    expect(await dead.closed()).toBe(closeCodes.tooSlow)
    expect(alive.closeCode).toBeUndefined()
  })

  test('says in a sentence that its port is taken', async () => {
    const { hub } = await startHub()
    const config = configSchema.parse({ PORT: String(hub.port) })
    await expect(
      start(config, { reader: createMemoryLog(), mutes: createMemoryMutes(), logger: silent }),
    ).rejects.toThrow(/PORT: .* can't be listened on/)
  })

  test('says in a sentence that it needs a Redis', async () => {
    await expect(start(configSchema.parse({ PORT: '0' }), { logger: silent })).rejects.toThrow(
      /REDIS_URL names no Redis/,
    )
  })
})
