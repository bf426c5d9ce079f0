import { maxWsctlRequests, type WsctlRequest } from '@flasktoria/contracts/rest'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { expect, test } from 'vitest'
import { ask, createTestApp, errorOf } from './test-app.ts'

const stop: WsctlRequest = { action: 'stop', update_type: 'sensordata', vehicle_id: 'v', sensor_id: '' }
const rule = { kind: 'sensordata', vehicle: 'v', sensor: '', isMuted: true }

const failingChange = () => Promise.reject(new Error('Redis is away'))

function createWsctl(limits: { maxBodyBytes?: number } = {}) {
  const mutes = createMemoryMutes()
  const { app } = createTestApp({ mutes, ...limits })
  const wsctl = (body: unknown, query = '', headers: Record<string, string> = {}) =>
    ask(app, 'controlSocket', `/api/wsctl${query}`, {
      method: 'POST',
      body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', ...headers },
    })
  return { mutes, wsctl }
}

test('200: mutes belong to the client in the URL, and to nobody else', async () => {
  const { mutes, wsctl } = createWsctl()
  const { status, body, headers } = await wsctl([stop], '?client=client-one')
  expect({ status, body }).toEqual({ status: 200, body: [{ success: true }] })
  expect(headers.getSetCookie()).toEqual([])
  expect(await mutes.read('client-one')).toEqual([rule])
  expect(await mutes.read('client-two')).toEqual([])
})

test('200: else to the one of the cookie; a client with neither gets a cookie, and mutes only itself', async () => {
  const { mutes, wsctl } = createWsctl()
  await wsctl([stop], '', { Cookie: 'flasktoria_client=cookie-client' })
  expect(await mutes.read('cookie-client')).toEqual([rule])
  const { headers } = await wsctl([stop])
  expect(headers.getSetCookie()).toEqual(['flasktoria_client=fresh-client-id; Path=/; HttpOnly; SameSite=Lax'])
  expect(await mutes.read('fresh-client-id')).toEqual([rule])
  await wsctl([{ ...stop, vehicle_id: 'w' }], '?client=named-client', { Cookie: 'flasktoria_client=cookie-client' })
  expect(await mutes.read('cookie-client')).toEqual([rule])
})

test('200: one result per request, in order; stop twice and start of what was never stopped succeed', async () => {
  const { mutes, wsctl } = createWsctl()
  const start = { ...stop, action: 'start' }
  const requests = [{ ...start, vehicle_id: 'never' }, stop, stop, start, { ...stop, sensor_id: 's', extra: { a: 1 } }]
  const { body } = await wsctl(requests, '?client=client-one')
  expect(body).toEqual(requests.map(() => ({ success: true })))
  expect(await mutes.read('client-one')).toEqual([{ ...rule, sensor: 's' }])
  expect((await wsctl([], '?client=client-one')).body).toEqual([])
})

test('200: a body that is JSON is one, whatever it calls itself', async () => {
  const { wsctl } = createWsctl()
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense', ''])
    expect(await wsctl([stop], '?client=client-one', { 'Content-Type': type }), type).toMatchObject({ status: 200 })
})

test('400: one bad item refuses the list before anything is done', async () => {
  const { mutes, wsctl } = createWsctl()
  const bad: [object, string][] = [
    [{ ...stop, action: 'halt' }, 'action'],
    [{ ...stop, update_type: 'anomaly' }, 'update_type'],
    [{ ...stop, vehicle_id: '' }, 'vehicle_id'],
    [{ ...stop, vehicle_id: 7 }, 'vehicle_id'],
    [{ ...stop, sensor_id: 'a\u0000b' }, 'sensor_id'],
    [{ action: 'stop', update_type: 'position', vehicle_id: 'v' }, 'sensor_id'],
    [{}, 'action,update_type,vehicle_id,sensor_id'],
  ]
  for (const [item, fields] of bad)
    expect(await wsctl([stop, item], '?client=client-one'), fields).toMatchObject(errorOf(400, fields))
  for (const [item] of bad) await wsctl([stop, item], '?client=client-one')
  expect(await mutes.read('client-one')).toEqual([])
})

test.for(['', '{', 'null', '7', '{}', '[null]', '"[]"', '[1]', '[[]]', '['.repeat(50_000), '\ufeff', 'action=stop'])(
  '400: %j is no list of requests',
  async (body) => {
    expect(await createWsctl().wsctl(body)).toMatchObject(errorOf(400, ''))
  },
)

test('400: bytes that are no text, too many requests, and a malformed client', async () => {
  const { wsctl } = createWsctl({ maxBodyBytes: 1_000_000 })
  expect(await wsctl(new Uint8Array([0x5b, 0xff, 0x5d]))).toMatchObject(errorOf(400, ''))
  expect(await wsctl(Array.from({ length: maxWsctlRequests }, () => stop))).toMatchObject({ status: 200 })
  expect(await wsctl(Array.from({ length: maxWsctlRequests + 1 }, () => stop))).toMatchObject(errorOf(400, ''))
  for (const client of ['short', 'with%20space', '', 'x'.repeat(65), '%00'.repeat(8)])
    expect(await wsctl([stop], `?client=${client}`), client).toMatchObject(errorOf(400, 'client'))
})

test('413: a body over the limit is refused, whether it says its length or not', async () => {
  const { mutes, wsctl } = createWsctl({ maxBodyBytes: 200 })
  const body = JSON.stringify([stop]).padEnd(201)
  expect(await wsctl(body.slice(0, 200), '?client=client-one')).toMatchObject({ status: 200 })
  expect(await wsctl(body)).toMatchObject(errorOf(413, ''))
  expect(await wsctl(body, '', { 'Content-Length': '10000000000000' })).toMatchObject(errorOf(413, ''))
  expect(await mutes.read('fresh-client-id')).toEqual([])
})

test('503: mutes that cannot be kept are refused, with a time to come back', async () => {
  const { app } = createTestApp({ mutes: { ...createMemoryMutes(), change: failingChange } })
  const answer = await ask(app, 'controlSocket', '/api/wsctl', { method: 'POST', body: JSON.stringify([stop]) })
  expect(answer).toMatchObject(errorOf(503, ''))
  expect(answer.headers.get('Retry-After')).toBe('2')
})
