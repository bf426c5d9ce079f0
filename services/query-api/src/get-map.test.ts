import { expect, test } from 'vitest'
import { ask, createTestApp, errorOf, position, testNow } from './test-app.ts'

const minute = 60_000
const map = (app: Parameters<typeof ask>[0], headers: Record<string, string> = {}) =>
  ask(app, 'getMap', '/api/map', { headers })

test('200: every vehicle of the last five minutes at its newest position, with its name', async () => {
  const { app, hear } = createTestApp()
  hear(
    position('car-1', testNow - 2 * minute, 48.1, 11.5),
    position('car-1', testNow - minute, 48.137154, 11.576124),
    position('car-1', testNow - 3 * minute, 0, 0),
    position('edge', testNow - 5 * minute, -90, -180),
    position('gone', testNow - 5 * minute - 1, 1, 1),
  )
  const { status, body } = await map(app)
  expect(status).toBe(200)
  expect(body.vehicles).toEqual([
    { id: 'car-1', name: 'Ada', lat: 48.137154, long: 11.576124, status: 'ok', timestamp: testNow - minute },
    { id: 'edge', name: 'Vehicle edge', lat: -90, long: -180, status: 'ok', timestamp: testNow - 5 * minute },
  ])
})

test('200: ids that JavaScript or JSON might trip over are vehicles like any other', async () => {
  const ids = ['__proto__', 'constructor', 'a"b\\c', "o'brien", '🚚 Zürich', 'toString', '<script>']
  const { app, hear } = createTestApp()
  hear(...ids.map((id) => position(id, testNow, 1, 2)))
  const { body } = await map(app)
  expect(body.vehicles.map(({ id, name }) => [id, name])).toEqual(ids.map((id) => [id, `Vehicle ${id}`]))
})

test.for([
  [{ Host: 'fleet.example' }, 'ws://fleet.example/ws'],
  [{ Host: 'fleet.example:8080' }, 'ws://fleet.example:8080/ws'],
  [{ Host: '[::1]:8080' }, 'ws://[::1]:8080/ws'],
  [
    { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'fleet.example', Host: 'query-api:8081' },
    'wss://fleet.example/ws',
  ],
  [
    { 'X-Forwarded-Proto': 'https, http', 'X-Forwarded-Host': 'outer.example, inner', Host: 'x' },
    'wss://outer.example/ws',
  ],
  [
    { 'X-Forwarded-Host': 'evil.example/path?', 'X-Forwarded-Proto': 'gopher', Host: 'fleet.example' },
    'ws://fleet.example/ws',
  ],
] as const)('200: seen through %j the live socket is at %s', async ([headers, url]) => {
  const { body } = await map(createTestApp().app, headers)
  expect(body.updateWebSocket).toBe(`${url}?client=fresh-client-id`)
})

test('200: a browser gets a cookie with the id of its socket, secure where the browser is, and keeps the one it has', async () => {
  const { app } = createTestApp()
  const first = await map(app)
  expect(first.headers.getSetCookie()).toEqual(['flasktoria_client=fresh-client-id; Path=/; HttpOnly; SameSite=Lax'])
  const secure = await map(app, { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'fleet.example' })
  expect(secure.headers.getSetCookie()).toEqual([
    'flasktoria_client=fresh-client-id; Path=/; HttpOnly; Secure; SameSite=Lax',
  ])
  const again = await map(app, { Cookie: 'a=b; flasktoria_client=my-own-id_42' })
  expect(again.headers.getSetCookie()).toEqual([])
  expect(again.body.updateWebSocket).toMatch(/\?client=my-own-id_42$/)
})

test.for(['short', 'with space in it', 'x'.repeat(65), '', '%00%00%00%00%00%00%00%00', 'a&b=c%26evil'])(
  '200: a cookie that is no id of ours is replaced: %j',
  async (id) => {
    const { body, headers } = await map(createTestApp().app, { Cookie: `flasktoria_client=${id}` })
    expect(body.updateWebSocket).toMatch(/\?client=fresh-client-id$/)
    expect(headers.getSetCookie()).toHaveLength(1)
  },
)

test.for(['evil.example/a', 'a b', 'user@host', 'a"b', 'host:port', 'x'.repeat(300), 'ws://x', ''])(
  '400: a Host that is none is refused: %j',
  async (host) => {
    expect(await map(createTestApp().app, { Host: host })).toMatchObject(errorOf(400, ''))
  },
)

test('500: a fault answers with its title, and the log has the rest', async () => {
  const lines: object[] = []
  const logger = { error: (facts: object) => lines.push(facts) } as never
  const { app, window } = createTestApp({ logger })
  window.positions = () => {
    throw new Error('secret detail')
  }
  const { status, body } = await map(app, { 'X-Request-Id': 'req-1' })
  expect({ status, body }).toEqual({ status: 500, body: { code: 500, message: 'The server failed.', fields: '' } })
  expect(lines).toEqual([
    { requestId: 'req-1', operation: 'getMap', err: expect.objectContaining({ message: 'secret detail' }) },
  ])
})
