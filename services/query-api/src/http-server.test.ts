import { errorSchema } from '@flasktoria/contracts/problems'
import { createLogger } from '@flasktoria/service-kit/logger'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { WarehouseError, type Warehouse } from '@flasktoria/warehouse/warehouse'
import { once } from 'node:events'
import { get as getByNode, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { codings } from './compression.ts'
import { createHttpServer } from './http-server.ts'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { createTestApp, reading, testNow } from './test-app.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function serve(overrides: Parameters<typeof createTestApp>[0] = {}) {
  const made = createTestApp(overrides)
  const { server, stop } = createHttpServer(made.app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(stop)
  const { port } = server.address() as AddressInfo
  return { ...made, server, stop, port, url: `http://127.0.0.1:${port}` }
}

/** Sends bytes as they are and reads until the server hangs up. */
async function exchange(port: number, bytes: string) {
  const socket = connect(port, '127.0.0.1')
  socket.end(bytes)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head, body }
}
const get = (target: string, headers = 'Host: h\r\n') => `GET ${target} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`

test.for([
  ['no HTTP at all', 'hello\r\n\r\n', 400],
  ['no Host', get('/api/map', ''), 400],
  ['a Host that is none', get('/api/map', 'Host: a b\r\n'), 400],
  ['a Host with a path', get('/api/map', 'Host: h/evil\r\n'), 400],
  ['a backslash in the path', get('/api/vehicle/a\\b'), 400],
  ['a broken percent-encoding', get('/api/vehicle/%E0%A4%A'), 400],
  ['a lone percent', get('/api/vehicle/%'), 400],
  ['a target that is no path', get('api/map'), 400],
  ['headers without end', get('/api/map', `Host: h\r\nX: ${'x'.repeat(20_000)}\r\n`), 431],
  ['nothing there', get('/nowhere'), 404],
  ['TRACE', get('/api/map').replace('GET', 'TRACE'), 405],
  ['a method of another protocol', get('/api/map').replace('GET', 'PROPFIND'), 405],
] as const)('%s is answered as every error is', async ([, bytes, status]) => {
  const { port } = await serve()
  const answer = await exchange(port, bytes)
  expect(answer.status).toBe(status)
  expect(errorSchema.parse(JSON.parse(answer.body)).code).toBe(status)
  expect(answer.head.toLowerCase()).toMatch(/content-type: application\/json\r\n/)
  expect(answer.head.toLowerCase()).toContain('access-control-allow-origin: *')
})

test('HEAD sends headers only, OPTIONS is 200, and the connection stays usable', async () => {
  const { port } = await serve()
  const { head, body } = await exchange(
    port,
    `HEAD /api/map HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS /api/wsctl HTTP/1.1\r\nHost: h\r\n\r\n${get('/api/map')}`,
  )
  expect(head).toMatch(/^HTTP\/1\.1 200/)
  expect(body).toMatch(/^HTTP\/1\.1 200/)
})

test('HEAD of a stream has the headers of GET', async () => {
  const { url } = await serve()
  const path = `${url}/api/v1/vehicles/truck/history?sensors=a&from=${testNow - 1_000}`
  const [whole, head] = await Promise.all(['GET', 'HEAD'].map((method) => fetch(path, { method })))
  const own = ['x-request-id', 'ratelimit', 'date', 'connection', 'keep-alive']
  const headersOf = ({ headers }: Response) => Object.fromEntries([...headers].filter(([name]) => !own.includes(name)))
  expect(headersOf(head!)).toEqual(headersOf(whole!))
  expect(head!.headers.get('Vary')).toContain('Accept-Encoding')
  expect(await head!.text()).toBe('')
})

test('a body over the limit is refused, with a length and in chunks', async () => {
  const { url, port } = await serve({ maxBodyBytes: 1_000 })
  const response = await fetch(`${url}/api/wsctl`, { method: 'POST', body: 'x'.repeat(500_000) })
  expect([response.status, errorSchema.parse(await response.json()).code]).toEqual([413, 413])
  const chunk = `400\r\n${' '.repeat(1_024)}\r\n`
  const chunked = `POST /api/wsctl HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunk}${chunk}0\r\n\r\n`
  expect((await exchange(port, chunked)).status).toBe(413)
})

test('a long answer arrives whole, and a reader that leaves in its midst harms nobody', async () => {
  const { url, hear } = await serve({ limits: { sensorIds: 5, rows: 100_000, historyRequests: 4 } })
  hear(...Array.from({ length: 40_000 }, (_, index) => reading('v', 'a', testNow - index, `${index / 8}`)))
  const target = `${url}/api/sensordata/v?sensor_ids=a&start_ts=0`
  const whole = await fetch(target)
  expect(whole.headers.get('Content-Encoding')).not.toBe(null)
  const body = (await whole.json()) as { a: object[] }
  expect(body.a).toHaveLength(40_000)
  expect(body.a[39_999]).toEqual({ timestamp: testNow - 39_999, value: 39_999 / 8 })
  const leaving = new AbortController()
  const response = await fetch(target, { signal: leaving.signal })
  leaving.abort()
  await expect(response.text()).rejects.toThrow('aborted')
  expect((await fetch(`${url}/livez`)).status).toBe(200)
})

/** One reading, then the engine dies. */
const breaking = (): Warehouse => ({
  ...createScriptedWarehouse({}).warehouse,
  async *query() {
    yield { columns: [], rowCount: 1, values: [[testNow - 5], ['a'], [1]] }
    throw new WarehouseError('unavailable', 'secret detail of the engine')
  },
})

test.for(['identity', ...codings])(
  'an answer that breaks off in its midst says why, and the connection is cut: %s',
  async (coding) => {
    const { url } = await serve({ warehouse: breaking() })
    const outgoing = getByNode(`${url}/api/v1/vehicles/v/history?sensors=a&from=1&format=ndjson`, {
      headers: { 'Accept-Encoding': coding },
    })
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    expect(response.headers['content-encoding'] ?? 'identity').toBe(coding)
    const pieces: Buffer[] = []
    const read = async () => {
      for await (const piece of response) pieces.push(piece as Buffer)
    }
    await expect(read()).rejects.toThrow('aborted')
    const text = String(beginningOf(Buffer.concat(pieces), coding))
    expect(text.split('\n').map((line) => line && (JSON.parse(line) as object))).toEqual([
      { sensor: 'a', timestamp: testNow - 5, value: 1 },
      { error: expect.objectContaining({ code: 'warehouse_unavailable' }) },
      '',
    ])
  },
)

test.for(['json', 'ndjson', 'csv', 'parquet'])(
  'an answer that breaks off is one line of the log, and nothing beside it: %s',
  async (format) => {
    const printed = ['error', 'info'].map((name) => vi.spyOn(console, name as 'error'))
    onTestFinished(() => void vi.restoreAllMocks())
    const logged: object[] = []
    const logger = { ...createLogger('query-api', 'silent'), warn: (facts: object) => logged.push(facts) } as never
    const { url } = await serve({ warehouse: breaking(), logger })
    const outgoing = getByNode(`${url}/api/v1/vehicles/v/history?sensors=a&from=1&format=${format}`)
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    let bytes = 0
    response.on('data', (piece: Buffer) => (bytes += piece.length))
    await expect(once(response, 'end')).rejects.toThrow('aborted')
    expect(bytes).toBeGreaterThan(0)
    expect(logged).toEqual([expect.objectContaining({ problem: 'warehouse_unavailable' })])
    for (const method of printed) expect(method).not.toHaveBeenCalled()
  },
)

/** What can be read of something that was cut off. */
function beginningOf(bytes: Buffer, coding: string): Buffer {
  if (coding === 'gzip') return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
  if (coding === 'br') return brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH })
  if (coding === 'zstd') return zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_flush })
  return bytes
}

/** A real engine whose every question takes minutes unless it is cancelled. */
async function slowWarehouse() {
  const duckdb = await createDuckdbWarehouse({ directory: '/nonexistent', connections: 1 })
  const outcomes: string[] = []
  const slow: Warehouse = {
    dialect: duckdb.dialect,
    async *query(_, options) {
      const sql = `SELECT count(*) FROM range(1000000000) a, range(1000) b WHERE (a.range * b.range) % 7 = 3`
      try {
        yield* duckdb.query(sql, options)
      } catch (error) {
        outcomes.push((error as { kind: string }).kind)
        throw error
      }
    },
    execute: (sql, options) => duckdb.execute(sql, options),
    failing: () => duckdb.failing(),
    close: () => duckdb.close(),
  }
  cleanups.push(() => duckdb.close())
  return { slow, duckdb, outcomes }
}

test('a client that goes away cancels its question in the engine', async () => {
  const { slow, duckdb, outcomes } = await slowWarehouse()
  const { url, metrics } = await serve({ warehouse: slow })
  const leaving = new AbortController()
  const request = fetch(`${url}/api/sensordata/v?sensor_ids=a&start_ts=0`, { signal: leaving.signal })
  setTimeout(() => leaving.abort(), 300)
  await expect(request).rejects.toThrow('aborted')
  await vi.waitFor(() => expect(outcomes).toEqual(['cancelled']), { timeout: 5_000 })
  // The only connection is free again.
  const signal = new AbortController().signal
  for await (const { values } of duckdb.query('SELECT 42 AS a', { signal, deadlineMs: 5_000, maxRows: 1 }))
    expect(values).toEqual([[42]])
  await vi.waitFor(async () =>
    expect(await metrics.registry.metrics()).toContain(
      '{operation="getSensordata",status="499",service="query-api"} 1',
    ),
  )
})

test('a client that goes away in the midst of a stream leaves nothing running', async () => {
  let isOver = false
  const endless: Warehouse = {
    ...createScriptedWarehouse({}).warehouse,
    async *query(_, { signal }) {
      try {
        for (let row = 0; !signal.aborted; row++) {
          yield { columns: [], rowCount: 1, values: [[row], ['a'], [1]] }
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        isOver = true
      }
    },
  }
  const { url } = await serve({ warehouse: endless })
  const leaving = new AbortController()
  const target = `${url}/api/v1/vehicles/v/history?sensors=a&from=0&format=ndjson`
  const response = await fetch(target, { signal: leaving.signal })
  const reader = response.body!.getReader()
  for (let piece = 0; piece < 3; piece++) expect((await reader.read()).done).toBe(false)
  leaving.abort()
  await vi.waitFor(() => expect(isOver).toBe(true))
})

test('a question that takes longer than its deadline is 504', async () => {
  const { slow } = await slowWarehouse()
  const { url } = await serve({ warehouse: slow, deadlineMs: 200 })
  const response = await fetch(`${url}/api/cost/v`)
  expect([response.status, errorSchema.parse(await response.json()).message]).toEqual([
    504,
    'The history took too long to answer.',
  ])
})

test('whoever prefers to wait for a second gets 504 after one, and the engine is free again', async () => {
  const { slow, outcomes } = await slowWarehouse()
  const { url } = await serve({ warehouse: slow, deadlineMs: 10_000 })
  const askedAt = performance.now()
  const response = await fetch(`${url}/api/cost/v`, { headers: { Prefer: 'wait=1' } })
  expect([response.status, response.headers.get('Preference-Applied')]).toEqual([504, 'wait=1'])
  expect(performance.now() - askedAt).toBeLessThan(3_000)
  await vi.waitFor(() => expect(new Set(outcomes)).toEqual(new Set(['cancelled'])))
})

test('whoever prefers to wait for longer than a question may take waits for as long as it may', async () => {
  const { slow } = await slowWarehouse()
  const { url } = await serve({ warehouse: slow, deadlineMs: 300 })
  const response = await fetch(`${url}/api/cost/v`, { headers: { Prefer: 'wait=3600' } })
  expect([response.status, response.headers.get('Preference-Applied')]).toEqual([504, 'wait=1'])
})

test('one question too many is told so within 50 ms, while the others go on', async () => {
  const { slow, outcomes } = await slowWarehouse()
  const { url } = await serve({ warehouse: slow, limits: { sensorIds: 5, rows: 10, historyRequests: 2 } })
  const ask = (signal?: AbortSignal) =>
    fetch(`${url}/api/sensordata/v?sensor_ids=a&start_ts=0`, signal ? { signal } : {})
  const leaving = new AbortController()
  const running = [ask(leaving.signal), ask(leaving.signal)]
  const waits: number[] = []
  await vi.waitFor(async () => expect((await ask(AbortSignal.timeout(300))).status).toBe(503), { timeout: 5_000 })
  for (let turn = 0; turn < 20; turn++) {
    const askedAt = performance.now()
    const response = await ask()
    waits.push(performance.now() - askedAt)
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '2'])
    await response.text()
  }
  expect(waits.toSorted((a, b) => a - b)[10]).toBeLessThan(50)
  expect(outcomes).toEqual([])
  leaving.abort()
  await Promise.allSettled(running)
})

test('a server that stops lets what runs finish, waits for nobody who asks nothing, and accepts no more', async () => {
  const { url, server, port, stop } = await serve()
  cleanups.length = 0
  const silent = connect(port, '127.0.0.1')
  await once(silent, 'connect')
  const request = fetch(`${url}/api/map`)
  await once(server, 'request')
  const stoppingAt = performance.now()
  const [response] = await Promise.all([request, stop()])
  expect([response.status, response.ok && typeof (await response.json())]).toEqual([200, 'object'])
  expect(performance.now() - stoppingAt).toBeLessThan(1_000)
  await expect(fetch(`${url}/api/map`)).rejects.toThrow('fetch failed')
})

test.each(['json', 'ndjson', 'csv'])('an answer without rows ends: %s', async (format) => {
  const { url } = await serve()
  const answer = await fetch(`${url}/api/v1/anomalies/counts?from=0&by=day&format=${format}`)
  expect((await answer.text()).length).toBeGreaterThan(0)
})
