import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createTestApp, position, testNow } from './test-app.ts'

const minute = 60_000

/** An app whose clock the test moves, and questions for its map. */
function createMap() {
  let now = testNow
  const { app, window, hear } = createTestApp({ now: () => now })
  const ask = (headers: Record<string, string> = {}) =>
    app.request('/api/map', { headers: { Host: 'h', Cookie: 'flasktoria_client=browser-1', ...headers } })
  let written = 0
  const positions = window.positions.bind(window)
  window.positions = () => {
    written++
    return positions()
  }
  return {
    ask,
    hear,
    ids: async () => ((await (await ask()).json()) as { vehicles: { id: string }[] }).vehicles.map(({ id }) => id),
    pass: (ms: number) => (now += ms),
    get written() {
      return written
    },
  }
}

const fleet = (size: number) => Array.from({ length: size }, (_, index) => position(`car-${index}`, testNow, 48, 11))

test('as long as no vehicle moves, the map is written once', async () => {
  const map = createMap()
  map.hear(...fleet(3))
  for (let turn = 0; turn < 5; turn++) expect(await map.ids()).toHaveLength(3)
  map.pass(minute)
  await map.ids()
  expect(map.written).toBe(1)
})

test('a small fleet is seen as it is now', async () => {
  const map = createMap()
  for (const size of [1, 2, 3]) {
    map.hear(position(`car-${size}`, testNow, 1, 1))
    expect(await map.ids()).toHaveLength(size)
  }
  map.hear(position('car-1', testNow - 1, 9, 9))
  await map.ids()
  expect(map.written).toBe(3)
})

test('the map of a large fleet serves for a moment, however much moves', async () => {
  const map = createMap()
  map.hear(...fleet(1_000))
  expect(await map.ids()).toHaveLength(1_000)
  map.hear(position('new', testNow, 1, 1))
  map.pass(19)
  expect(await map.ids()).toHaveLength(1_000)
  map.pass(1)
  expect(await map.ids()).toHaveLength(1_001)
  expect(map.written).toBe(2)
})

test('a vehicle leaves the map when it has been silent for five minutes, though nothing else happens', async () => {
  const map = createMap()
  map.hear(position('silent', testNow - minute, 1, 1), position('later', testNow, 1, 1))
  map.pass(4 * minute)
  expect(await map.ids()).toEqual(['silent', 'later'])
  map.pass(1)
  expect(await map.ids()).toEqual(['later'])
})

test('compressed it is the same, for each client with its own socket', async () => {
  const map = createMap()
  map.hear(...fleet(200), position('Zürich 🚚', testNow, 47.4, 8.5))
  for (const id of ['browser-1', 'browser-22']) {
    const headers = { Cookie: `flasktoria_client=${id}` }
    const plain = await (await map.ask(headers)).text()
    const response = await map.ask({ ...headers, 'Accept-Encoding': 'gzip, br, zstd' })
    expect(response.headers.get('Content-Encoding')).toBe('gzip')
    const bytes = await response.bytes()
    expect(response.headers.get('Content-Length')).toBe(String(bytes.length))
    expect(String(gunzipSync(bytes))).toBe(plain)
    expect(JSON.parse(plain)).toMatchObject({ updateWebSocket: `ws://h/ws?client=${id}` })
  }
  expect(map.written).toBe(1)
})

test('who has it is not sent it again: not until a vehicle moves, in this coding, and to this client', async () => {
  const map = createMap()
  map.hear(...fleet(100))
  const etag = (await map.ask()).headers.get('ETag')!
  const again = await map.ask({ 'If-None-Match': etag })
  expect([again.status, await again.text(), again.headers.get('ETag')]).toEqual([304, '', etag])
  expect(again.headers.get('Cache-Control')).toBe('no-cache')
  const others = { 'Accept-Encoding': 'gzip', Cookie: 'flasktoria_client=browser-2', Host: 'other' }
  for (const [name, value] of Object.entries(others))
    expect((await map.ask({ 'If-None-Match': etag, [name]: value })).status, name).toBe(200)
  map.hear(position('car-1', testNow + 1, 48.1, 11))
  map.pass(2)
  expect((await map.ask({ 'If-None-Match': etag })).status).toBe(200)
})
