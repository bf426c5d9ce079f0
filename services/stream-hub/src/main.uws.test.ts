import { closeCodes } from '@flasktoria/contracts/close-codes'
import { plainFrameSchema, serverMessageSchema, streamLimits, subprotocol } from '@flasktoria/contracts/stream'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { createLogger } from '@flasktoria/service-kit/logger'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { configSchema } from './config.ts'
import { start } from './main.ts'
import { anomaly, position, sensordata } from './test-hub.ts'
import { eventually, TestSocket } from './test-socket.ts'

const logger = createLogger('stream-hub', 'silent')
let cleanup = new AsyncDisposableStack()
afterEach(async () => {
  await cleanup.disposeAsync()
  cleanup = new AsyncDisposableStack()
})

async function startHub(
  environment: Record<string, string> = {},
  log = createMemoryLog(),
  mutes = createMemoryMutes(),
) {
  const config = configSchema.parse({ PORT: '0', DRAIN_MS: '50', ...environment })
  const hub = await start(config, { reader: log, mutes, logger })
  cleanup.use(hub)
  const connected = async (opening: Promise<TestSocket>) => cleanup.adopt(await opening, (client) => client.end())
  const get = (path: string) => fetch(`http://127.0.0.1:${hub.port}${path}`)
  return {
    hub,
    log,
    mutes,
    get,
    plain: (path = '/', headers = {}) => connected(TestSocket.open(`${hub.url}${path}`, { headers })),
    v2: (path = '/', headers = {}) => connected(TestSocket.v2(`${hub.url}${path}`, { headers })),
    metric: async (name: string) => {
      const line = new RegExp(`^flasktoria_${name}(?:\\{.*\\})? (.*)$`, 'm').exec(await (await get('/metrics')).text())
      return Number(line?.[1])
    },
  }
}

/** The status of an upgrade that is refused. */
const refusal = (opening: Promise<unknown>) =>
  opening.then(
    () => 'admitted',
    (error: Error) => /\d{3}/.exec(error.message)?.[0],
  )

/** Ten thousand positions are 1 MB of updates. */
const fleet = (size: number, lat: number) =>
  Array.from({ length: size }, (_, index) => position(`truck-${index}`, lat, 1_764_000_000_000))

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

describe('a v2 client', () => {
  test('is greeted, subscribes, and gets the present state before what changes', async () => {
    const { log, v2 } = await startHub()
    await log.append([position('truck-1', 48), sensordata('truck-1', 's1', 1), anomaly('truck-1', 'old')])
    const client = await v2()
    expect(client.socket.protocol).toBe(subprotocol)
    const hello = await client.next('hello')
    client.send({ type: 'subscribe', id: 'all' })
    const snapshot = await client.next('snapshot')
    await log.append([position('truck-1', 49), anomaly('truck-1', 'new')])
    const updates = await client.next('updates')
    expect(client.frames.map(({ type }) => type)).toEqual(['hello', 'ack', 'snapshot', 'updates'])
    for (const frame of client.frames) expect(serverMessageSchema.safeParse(frame).error).toBeUndefined()
    expect(snapshot).toMatchObject({ id: 'all', part: 0, more: false, reason: 'subscribed', cursor: hello.cursor })
    expect(snapshot.updates.map(({ update_type }) => update_type)).toEqual(['position', 'sensordata'])
    expect(updates.updates.map(({ update_type }) => update_type)).toEqual(['position', 'anomaly'])
  })

  test('gets a large state in frames of at most 64 KiB', async () => {
    const { log, v2 } = await startHub()
    await log.append(fleet(5_000, 1))
    const client = await v2()
    client.send({ type: 'subscribe', id: 'all' })
    await eventually(() => client.frames.some((frame) => frame.type === 'snapshot' && !frame.more))
    const parts = client.frames.filter((frame) => frame.type === 'snapshot')
    expect(parts.map(({ part }) => part)).toEqual(parts.keys().toArray())
    expect(Math.max(...client.texts.map((text) => Buffer.byteLength(text)))).toBeLessThanOrEqual(64 * 1024)
    expect(new Set(client.updates.map(({ vehicle_id }) => vehicle_id)).size).toBe(5_000)
    expect(client.updates).toHaveLength(5_000)
  })

  test('sees what its subscriptions name, until it takes them away', async () => {
    const { log, v2 } = await startHub()
    const client = await v2()
    client.send({ type: 'subscribe', id: 'a', kinds: ['sensordata'], vehicles: ['truck-1'], sensors: ['s1'] })
    client.send({ type: 'subscribe', id: 'b', kinds: ['anomaly'] })
    await client.next('snapshot', 1)
    await log.append([
      position('truck-1', 1),
      sensordata('truck-1', 's1', 1),
      sensordata('truck-1', 's2', 2),
      sensordata('truck-2', 's1', 3),
      anomaly('truck-2', 'seen'),
    ])
    await client.next('updates')
    expect(client.updates.map((update) => update.update_type)).toEqual(['sensordata', 'anomaly'])
    client.send({ type: 'unsubscribe', id: 'a' })
    await client.next('ack', 2)
    await log.append([sensordata('truck-1', 's1', 4), anomaly('truck-1', 'last')])
    await client.next('updates', 1)
    expect(client.updates).toHaveLength(3)
  })

  test('is told how many older updates a newer one stands for', async () => {
    const { log, v2 } = await startHub({ TICK_MS: '200' })
    const client = await v2()
    client.send({ type: 'subscribe', id: 'all' })
    await client.next('snapshot')
    await log.append([position('truck-1', 0)])
    await client.next('updates')
    for (let lat = 1; lat <= 5; lat++) await log.append([position('truck-1', lat)])
    const { updates, conflated } = await client.next('updates', 1)
    expect(updates).toMatchObject([{ lat: 5 }])
    expect(conflated).toBe(4)
  })

  test('gets a pong with its nonce', async () => {
    const { v2 } = await startHub()
    const client = await v2()
    client.send({ type: 'ping', nonce: 'n' })
    client.send({ type: 'ping' })
    expect(await client.next('pong')).toEqual({ type: 'pong', nonce: 'n' })
    expect(await client.next('pong', 1)).toEqual({ type: 'pong' })
  })

  test.each([
    ['garbage', 'bad_message', '}{'],
    ['binary', 'bad_message', Buffer.from('{"type":"ping"}')],
    ['an unknown type', 'bad_message', '{"type":"shutdown"}'],
    ['a control character in an id', 'bad_message', '{"type":"subscribe","id":"x","vehicles":["a\\u0000"]}'],
    ['prototype keys', 'bad_message', '{"__proto__":{"type":"ping"}}'],
    ['an id in use', 'duplicate_subscription', '{"type":"subscribe","id":"used"}'],
    ['an id that is not in use', 'unknown_subscription', '{"type":"unsubscribe","id":"x"}'],
  ])('gets an error for %s, and the session goes on', async (_name, code, message) => {
    const { v2 } = await startHub()
    const client = await v2()
    client.send({ type: 'subscribe', id: 'used' })
    client.send(message)
    client.send({ type: 'ping' })
    expect(await client.next('error')).toMatchObject({ code })
    await client.next('pong')
  })

  test('is bounded in subscriptions and vehicles', async () => {
    const { v2 } = await startHub({ MAX_SUBSCRIPTIONS: '2', MAX_VEHICLES: '3' })
    const client = await v2()
    client.send({ type: 'subscribe', id: 'a', vehicles: ['1', '2'] })
    client.send({ type: 'subscribe', id: 'b', vehicles: ['3', '4'] })
    expect(await client.next('error')).toMatchObject({ code: 'too_many_subscriptions', id: 'b' })
    client.send({ type: 'subscribe', id: 'b' })
    client.send({ type: 'subscribe', id: 'c' })
    expect(await client.next('error', 1)).toMatchObject({ code: 'too_many_subscriptions', id: 'c' })
  })

  test('that sends too fast gets errors, and then has to go for good', async () => {
    const { v2, metric } = await startHub({ MESSAGES_PER_SECOND: '5' })
    const client = await v2()
    for (let count = 0; count < 60; count++) client.send({ type: 'ping' })
    expect(await client.next('error')).toMatchObject({ code: 'too_many_messages' })
    expect(await client.closed()).toBe(closeCodes.abuse)
    expect(await metric('stream_errors_total')).toBeGreaterThan(20)
  })

  test.each([streamLimits.messageBytes + 1, 10 * streamLimits.messageBytes])(
    'that sends a message of %d bytes is closed',
    async (length) => {
      const { v2 } = await startHub()
      const client = await v2()
      client.send('x'.repeat(length))
      expect([closeCodes.protocolError, 1006]).toContain(await client.closed())
    },
  )
})

describe('a client that comes back', () => {
  test('gets on another hub exactly what changed meanwhile', async () => {
    const first = await startHub()
    const second = await startHub({}, first.log)
    const before = await first.v2()
    before.send({ type: 'subscribe', id: 'all' })
    await before.next('snapshot')
    await first.log.append([position('truck-1', 1), position('truck-2', 1), anomaly('truck-1', 'known')])
    const { cursor } = await before.next('updates')
    before.end()
    await first.log.append([position('truck-1', 2), anomaly('truck-2', 'missed'), position('truck-1', 3)])
    const after = await second.v2()
    after.send({ type: 'subscribe', id: 'all', cursor })
    const { updates } = await after.next('updates')
    expect(updates).toMatchObject([{ desc: 'missed' }, { vehicle_id: 'truck-1', lat: 3 }])
    expect(after.frames.map(({ type }) => type)).toEqual(['hello', 'ack', 'updates'])
  })

  test('is told of a gap when anomalies were forgotten', async () => {
    const log = createMemoryLog({ maxRecent: 10 })
    const first = await startHub({}, log)
    const before = await first.v2()
    const { cursor } = await before.next('hello')
    for (let count = 0; count < 100; count++) await log.append([anomaly('truck-1', String(count))])
    const second = await startHub({}, log)
    const after = await second.v2()
    after.send({ type: 'subscribe', id: 'all', cursor })
    await after.next('updates')
    expect(after.frames.map(({ type }) => type)).toEqual(['hello', 'ack', 'gap', 'updates'])
    expect(after.frames[2]).toMatchObject({ since: null, readFrom: '/api/anomalies' })
    expect(after.updates).toHaveLength(10)
  })

  test('with a cursor of another log gets a snapshot that says so', async () => {
    const other = await startHub()
    const { cursor } = await (await other.v2()).next('hello')
    const { log, v2 } = await startHub()
    await log.append([position('truck-1', 1)])
    const client = await v2()
    client.send({ type: 'subscribe', id: 'a', kinds: ['position'], cursor })
    expect(await client.next('snapshot')).toMatchObject({ reason: 'epoch', updates: [{ lat: 1 }] })
  })

  test.each(['', 'nonsense', 'a.b.c', '../../etc/passwd'])('with the cursor %j gets a snapshot', async (cursor) => {
    const { v2 } = await startHub()
    const client = await v2()
    client.send({ type: 'subscribe', id: 'a', cursor })
    expect(await client.next('snapshot')).toMatchObject({ reason: 'cursor_unknown' })
    expect(client.frames.map(({ type }) => type)).toEqual(['hello', 'ack', 'gap', 'snapshot'])
  })

  test('with a cursor from the future waits for a moment, then gets a snapshot', async () => {
    const { v2 } = await startHub()
    const client = await v2()
    const { epoch } = await client.next('hello')
    client.send({ type: 'subscribe', id: 'a', kinds: ['position'], cursor: `${epoch}.zzzzz` })
    expect(await client.next('snapshot')).toMatchObject({ reason: 'cursor_unknown' })
  })
})

describe('a client that does not read', () => {
  /** More than the kernel takes for a socket. */
  const flood = async (log: ReturnType<typeof createMemoryLog>, rounds: number) => {
    for (let lat = 1; lat <= rounds; lat++) {
      await log.append(fleet(5_000, lat))
      // Lets the hub flush, so that nothing is conflated before it is sent.
      await eventually(async () => true)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }

  test('holds up nobody, costs a bounded buffer, and is sent away with a code', async () => {
    const { log, plain, v2, metric, hub } = await startHub({ SLOW_AFTER_MS: '1000' })
    const slow = await v2()
    slow.send({ type: 'subscribe', id: 'all' })
    await slow.next('snapshot')
    slow.stall()
    const others = await Promise.all([plain(), plain()])
    await flood(log, 20)
    await eventually(async () => (await metric('stream_lagging_sessions')) === 1)
    for (const other of others)
      await eventually(() => other.updates.filter((update) => 'lat' in update && update.lat === 20).length === 5_000)
    await eventually(async () => (await metric('stream_lagging_sessions')) === 0)
    slow.goOn()
    // The code stands behind everything that was sent; unless the hub had to cut it off.
    expect([closeCodes.tooSlow, 1006]).toContain(await slow.closed())
    expect(others.every(({ closeCode }) => closeCode === undefined)).toBe(true)
    expect(hub.port).toBeGreaterThan(0)
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
    await eventually(async () => (await metric('stream_lagging_sessions')) === 1)
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
    const away = { ...createMemoryLog(), follow: () => Promise.reject(new Error('away')) }
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
    await eventually(() => alive.closeCode === undefined)
    await new Promise((resolve) => setTimeout(resolve, 4_500))
    dead.goOn()
    expect(await dead.closed()).toBe(closeCodes.tooSlow)
    expect(alive.closeCode).toBeUndefined()
  })

  test('says in a sentence that its port is taken', async () => {
    const { hub } = await startHub()
    const config = configSchema.parse({ PORT: String(hub.port) })
    await expect(start(config, { reader: createMemoryLog(), mutes: createMemoryMutes(), logger })).rejects.toThrow(
      /PORT: .* can't be listened on/,
    )
  })

  test('says in a sentence that it needs a Redis', async () => {
    await expect(start(configSchema.parse({ PORT: '0' }), { logger })).rejects.toThrow(/REDIS_URL names no Redis/)
  })
})
