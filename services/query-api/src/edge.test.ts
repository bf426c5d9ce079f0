import { isV1 } from '@flasktoria/contracts/operation'
import { errorSchema, problemSchema } from '@flasktoria/contracts/problems'
import { operations } from '@flasktoria/contracts/rest'
import { createLogger, type Logger } from '@flasktoria/service-kit/logger'
import { WarehouseError } from '@flasktoria/warehouse/warehouse'
import { expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { createTestApp, position, testNow } from './test-app.ts'

const paths = Object.values(operations).map(({ method, path }) => ({
  path: path.replace('{vehicle_id}', 'v'),
  allow: method === 'get' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS',
}))

test.for(paths)('$path says what it allows, and refuses the rest with 405', async ({ path, allow }) => {
  const { app } = createTestApp()
  for (const method of ['PUT', 'DELETE', 'PATCH', 'PROPFIND', allow.startsWith('GET') ? 'POST' : 'GET']) {
    const response = await app.request(path, { method })
    expect([response.status, response.headers.get('Allow')], method).toEqual([405, allow])
    const body = await response.json()
    expect(isV1(path) ? problemSchema.parse(body).status : errorSchema.parse(body).code).toBe(405)
  }
})

test.for([...paths, { path: '/nowhere', allow: 'GET, HEAD, POST, OPTIONS' }])(
  'OPTIONS $path is answered for any page, with the headers that it asks for',
  async ({ path, allow }) => {
    const response = await createTestApp().app.request(path, {
      method: 'OPTIONS',
      headers: { Origin: 'https://other.example', 'Access-Control-Request-Headers': 'content-type, x-own' },
    })
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': 'https://other.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': allow,
      'access-control-allow-headers': 'content-type, x-own',
      vary: 'Origin',
    })
  },
)

test('every answer may be read by every page, errors too', async () => {
  const { app, window } = createTestApp()
  window.positions = () => {
    throw new Error('broken')
  }
  for (const path of [
    '/api/map',
    '/api/nothing',
    '/',
    '/api/vehicle/%00',
    '/api/vehicle/v',
    '/livez',
    '/api/swagger.json',
  ]) {
    const anonymous = await app.request(path)
    expect(anonymous.headers.get('Access-Control-Allow-Origin'), path).toBe('*')
    expect(anonymous.headers.get('Access-Control-Allow-Credentials'), path).toBe(null)
    const { headers } = await app.request(path, { headers: { Origin: 'null' } })
    expect(headers.get('Access-Control-Allow-Origin'), path).toBe('null')
    expect(headers.get('Vary')?.split(', ')).toContain('Origin')
  }
})

test('HEAD has the headers of GET and no body', async () => {
  const { app } = createTestApp()
  for (const [path, status] of [
    ['/api/map', 200],
    ['/api/vehicle/v', 200],
    ['/api/sensordata/v', 400],
    ['/api/ui/', 200],
  ] as const) {
    const head = await app.request(path, { method: 'HEAD' })
    expect([head.status, await head.text()], path).toEqual([status, ''])
    const { headers } = await app.request(path)
    for (const name of ['Content-Type', 'Content-Length', 'ETag', 'Cache-Control', 'Vary'])
      expect(head.headers.get(name), `${path} ${name}`).toBe(headers.get(name))
  }
})

test('404 for what there is not, in the shape of every error', async () => {
  for (const path of [
    '/',
    '/api',
    '/api/',
    '/api/map/',
    '/api/vehicle/',
    '/api/vehicle/a/b',
    '/API/map',
    '/api/ui/nothing.js',
    '/api/ui/../../package.json',
  ]) {
    const response = await createTestApp().app.request(path)
    expect(await response.json(), path).toEqual({ code: 404, message: 'There is nothing at this path.', fields: '' })
    expect(response.status).toBe(404)
  }
})

test('below /api/v1 a problem is as RFC 9457 has it, with the id of its request', async () => {
  for (const path of ['/api/v1', '/api/v1/nowhere', '/api/v1/vehicles/a/b/history']) {
    const response = await createTestApp().app.request(path, { headers: { 'X-Request-Id': 'mine' } })
    expect(response.headers.get('Content-Type')).toBe('application/problem+json')
    expect(await response.json(), path).toEqual({
      type: 'urn:flasktoria:problem:not_found',
      title: 'There is nothing at this path.',
      status: 404,
      detail: 'There is nothing at this path.',
      code: 'not_found',
      fields: [],
      requestId: 'mine',
    })
  }
})

test('a request keeps the id that nginx gave it; nonsense is replaced', async () => {
  const { app } = createTestApp()
  const idOf = async (id: string) =>
    (await app.request('/livez', { headers: { 'X-Request-Id': id } })).headers.get('X-Request-Id')
  expect(await idOf('abc-1.2_3')).toBe('abc-1.2_3')
  expect(await idOf('with space')).toMatch(/^[0-9a-f-]{36}$/)
})

test('the log tells the reason of a foreseen failure, and where an unforeseen one came from', async () => {
  const logged: { level: string; [fact: string]: unknown }[] = []
  const logger = { ...createLogger('query-api', 'silent') } as Logger
  logger.warn = (facts: object) => void logged.push({ level: 'warn', ...facts })
  logger.error = (facts: object) => void logged.push({ level: 'error', ...facts })
  for (const fail of ['unavailable', 'statement'] as const)
    await createTestApp({ warehouse: createScriptedWarehouse({ fail }).warehouse, logger }).app.request('/api/cost/v')
  expect(logged).toEqual([
    {
      level: 'warn',
      requestId: expect.any(String),
      operation: 'getCost',
      problem: 'warehouse_unavailable',
      reason: 'secret detail of the engine',
    },
    { level: 'error', requestId: expect.any(String), operation: 'getCost', err: expect.any(WarehouseError) },
  ])
})

test('the platform is told what works: alive always, ready once the log was read, degraded without it', async () => {
  const { app, window, hear } = createTestApp()
  const ready = async () => {
    const response = await app.request('/readyz')
    return [response.status, ((await response.json()) as { status: string }).status]
  }
  expect(await ready()).toEqual([200, 'ok'])
  window.onConnected(false)
  expect(await ready()).toEqual([200, 'degraded'])
  window.hasSnapshot = false
  expect(await ready()).toEqual([503, 'unready'])
  expect((await app.request('/livez')).status).toBe(200)
  hear(position('v', testNow, 1, 1))
  const metrics = await (await app.request('/metrics')).text()
  expect(metrics).toContain('flasktoria_http_requests_total{operation="other",status="503",service="query-api"} 1')
  expect(metrics).toContain('flasktoria_map_vehicles{service="query-api"} 1')
})
