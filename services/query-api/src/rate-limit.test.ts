import { errorSchema, problemSchema } from '@flasktoria/contracts/problems'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { limitRate, type RatePolicy } from './rate-limit.ts'
import type { RequestEnv } from './request-env.ts'
import { createTestApp } from './test-app.ts'

function createLimited(policy: RatePolicy) {
  let now = 1_000_000
  const app = new Hono<RequestEnv>()
  app.onError((error, c) => c.text(error.message, 429))
  const limit = limitRate(policy, () => now)
  app.get('/', (c) => {
    limit(c)
    return c.text('ok')
  })
  const ask = async (headers: Record<string, string> = {}) => {
    const response = await app.request('/', { headers })
    const header = (name: string) => response.headers.get(name)
    return { status: response.status, left: header('RateLimit'), retryAfter: header('Retry-After'), header }
  }
  return { ask, pass: (ms: number) => (now += ms) }
}

test('every answer says what the client has left, and when it has all again', async () => {
  const { ask, pass } = createLimited({ burst: 3, perSecond: 0.5 })
  const { status, left, header } = await ask()
  expect([status, left, header('RateLimit-Policy')]).toEqual([200, '"history";r=2;t=2', '"history";q=3;w=6'])
  expect((await ask()).left).toBe('"history";r=1;t=4')
  pass(60_000)
  expect((await ask()).left).toBe('"history";r=2;t=2')
})

test('who asks too often is told when to come back, and may come then', async () => {
  const { ask, pass } = createLimited({ burst: 2, perSecond: 0.25 })
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 200])
  pass(1_000)
  expect(await ask()).toMatchObject({ status: 429, left: '"history";r=0;t=7', retryAfter: '3' })
  pass(3_000)
  expect((await ask()).status).toBe(200)
})

test('each browser has an allowance of its own, also behind one address; without a cookie the address has', async () => {
  const { ask } = createLimited({ burst: 1, perSecond: 1 })
  const from = (address: string, id?: string) => ({
    'X-Forwarded-For': `192.0.2.9, ${address}`,
    ...(id !== undefined && { Cookie: `flasktoria_client=${id}` }),
  })
  const statuses = async (...callers: Record<string, string>[]) => {
    const answers: number[] = []
    for (const caller of callers) answers.push((await ask(caller)).status)
    return answers
  }
  expect(await statuses(from('a', 'browser-1'), from('a', 'browser-2'), from('b', 'browser-1'))).toEqual([
    200, 200, 429,
  ])
  expect(await statuses(from('a'), from('a'), from('b'), from('b', 'short'))).toEqual([200, 429, 200, 429])
})

test('however many clients come, the ones that are remembered are few, and the newest', async () => {
  const { ask } = createLimited({ burst: 1, perSecond: 0.001 })
  const client = (number: number) => ask({ Cookie: `flasktoria_client=client-${number}` })
  for (let number = 0; number <= 10_000; number++) await client(number)
  expect((await client(10_000)).status).toBe(429)
  expect((await client(0)).status).toBe(200)
})

test('only questions about the past count, and the next one too many is a problem as the path has them', async () => {
  const { app } = createTestApp({ historyRate: { burst: 2, perSecond: 1 } })
  for (const path of ['/api/map', '/api/vehicle/v', '/api/anomalies']) {
    const options = await app.request(path, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('RateLimit')], path).toEqual([200, null])
  }
  expect((await app.request('/api/map')).headers.get('RateLimit')).toBe(null)
  const old = '/api/anomalies?start_ts=1'
  const v1 = '/api/v1/vehicles/v/history?sensors=a&from=1'
  for (const path of [old, v1]) expect((await app.request(path)).status, path).toBe(200)
  const [refused, refusedV1] = [await app.request(old), await app.request(v1)]
  expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '1'])
  expect(errorSchema.parse(await refused.json())).toMatchObject({ code: 429, message: 'Too many requests.' })
  expect(problemSchema.parse(await refusedV1.json())).toMatchObject({ status: 429, code: 'too_many_requests' })
  expect((await app.request('/api/vehicle/v')).status).toBe(200)
})
