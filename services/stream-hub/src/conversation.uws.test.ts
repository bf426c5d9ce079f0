import { closeCodes } from '@flasktoria/contracts/close-codes'
import { serverMessageSchema, streamLimits, subprotocol } from '@flasktoria/contracts/stream'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { describe, expect, test } from 'vitest'
import { anomaly, fleet, position, sensordata } from './test-hub.ts'
import { startHub } from './test-service.ts'
import { eventually } from './test-socket.ts'

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
      expect([closeCodes.protocolError, 1006, 1009]).toContain(await client.closed())
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
    expect(after.frames[2]).toMatchObject({ since: null, readFrom: '/api/anomalies?start_ts=0' })
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
