import { errorBody, errorSchema, problemBody, problemSchema, type ProblemCode } from '@flasktoria/contracts/problems'
import { EventEmitter, once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { freePort, isListening, startDaemon } from './servers/daemon.ts'
import { planNginx } from './servers/nginx.ts'

const cleanup = new AsyncDisposableStack()
afterAll(() => cleanup.disposeAsync())

type Seen = { method: string; url: string; headers: IncomingMessage['headers']; port: number | undefined }

/** A service behind the origin: what it was asked is kept, and the answer is the test's. */
async function startBackend(answer: RequestListener = (_, response) => response.end('{}'), atPort = 0) {
  const seen: Seen[] = []
  const server = createServer((incoming, response) => {
    const { method = '', url = '', headers, socket } = incoming
    // Before each socket nginx asks whether the hub is there.
    if (url !== '/livez') seen.push({ method, url, headers, port: socket.remotePort })
    incoming.resume()
    answer(incoming, response)
  })
  await listen(server, atPort)
  const { port } = server.address() as AddressInfo
  return { port, seen, server }
}

async function listen(server: Server, atPort = 0) {
  server.listen(atPort, '127.0.0.1')
  await once(server, 'listening')
  cleanup.defer(() => {
    server.closeAllConnections()
    server.close()
  })
}

type Place = { queryApis?: number[]; streamHubs?: number[]; edit?: Record<string, (text: string) => string> }

/** nginx with the project's own configuration; `edit` changes one of its files. */
async function placeOrigin({ queryApis = [], streamHubs = [], edit = {} }: Place) {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-nginx-'))
  chmodSync(dir, 0o755)
  cleanup.defer(() => rmSync(dir, { recursive: true, force: true }))
  const root = join(dir, 'console')
  mkdirSync(join(root, 'assets'), { recursive: true })
  writeFileSync(join(root, 'index.html'), '<!doctype html><title>console</title>')
  writeFileSync(join(root, 'assets', 'index-1a2b.js'), `export const words = '${'fleet '.repeat(1_000)}'\n`)
  const port = await freePort()
  const plan = await planNginx({ dir, port, root, queryApis, streamHubs })
  for (const [name, change] of Object.entries(edit)) {
    const before = readFileSync(join(dir, name), 'utf8')
    const after = change(before)
    expect(after, `nothing to change in ${name}`).not.toBe(before)
    writeFileSync(join(dir, name), after)
  }
  const daemon = await startDaemon(plan, () => isListening(port), 15_000)
  cleanup.defer(() => daemon.stop())
  return { dir, port }
}

const startOrigin = async (place: Place): Promise<number> => (await placeOrigin(place)).port

/** Sockets behind the origin, and who is connected. */
async function startHub(atPort = 0) {
  const backend = await startBackend(undefined, atPort)
  const sockets = new WebSocketServer({
    server: backend.server,
    handleProtocols: (offered) => [...offered][0] ?? false,
    perMessageDeflate: false,
  })
  sockets.on('connection', (socket, { method = '', url = '', headers }) => {
    backend.seen.push({ method, url, headers, port: undefined })
    socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }))
  })
  return { ...backend, sockets }
}

type Answer = { status: number; headers: Record<string, string>; body: string }

/** Sends bytes as they are and reads one answer. */
async function exchange(port: number, bytes: string): Promise<Answer> {
  const socket = connect(port, '127.0.0.1')
  // An answer may come, and the connection end, while a request that is too large is still being sent.
  const isOver = once(socket, 'close').catch(() => {})
  socket.on('error', () => {})
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1]
    const start = text.indexOf('\r\n\r\n') + 4
    // nginx lingers after an error: the client may still be sending.
    if (start > 3 && length !== undefined && text.length >= start + Number(length)) socket.destroy()
  })
  socket.write(bytes)
  await isOver
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    line.slice(line.indexOf(':') + 2),
  ])
  return { status: Number(first.split(' ')[1]), headers: Object.fromEntries(headers), body: text.slice(end + 4) }
}

const closing = 'Host: fleet.test\r\nConnection: close\r\n'
const ask = (port: number, path: string, headers = '', method = 'GET') =>
  exchange(port, `${method} ${path} HTTP/1.1\r\n${closing}${headers}\r\n`)

function expectProblem({ status, headers, body }: Answer, code: ProblemCode) {
  const error = errorSchema.parse(JSON.parse(body))
  expect(error).toEqual(errorBody(code))
  expect(status).toBe(error.code)
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'access-control-allow-origin': '*' })
}

/** The same below /api/v1. */
function expectProblemV1({ status, headers, body }: Answer, code: ProblemCode) {
  const problem = problemSchema.parse(JSON.parse(body))
  expect(problem).toEqual(problemBody(code, problem.requestId))
  expect(problem.requestId).toMatch(/^[\w.-]{1,64}$/)
  expect(status).toBe(problem.status)
  expect(headers).toMatchObject({ 'content-type': 'application/problem+json', 'access-control-allow-origin': '*' })
}

let origin: number
let api: Awaited<ReturnType<typeof startBackend>>
let hub: Awaited<ReturnType<typeof startHub>>
let sockets: WebSocketServer
/** Says `wanted` when a slow answer may end. */
const rest = new EventEmitter()

beforeAll(async () => {
  api = await startBackend((incoming, response) => {
    if (incoming.url === '/api/v1/nothing') {
      response.statusCode = 404
      response
        .setHeader('Content-Type', 'application/problem+json')
        .setHeader('Access-Control-Allow-Origin', 'https://a.test')
    }
    if (incoming.url === '/api/v1/compressed') {
      response.setHeader('Content-Type', 'application/json').setHeader('Content-Encoding', 'zstd')
      response.setHeader('ETag', '"a-zstd"').setHeader('Vary', 'Accept-Encoding').end('z'.repeat(5_000))
      return
    }
    if (incoming.url === '/api/v1/cut') {
      response.write('a,1\r\n', () => response.destroy())
      return
    }
    if (incoming.url === '/api/v1/slow') {
      response.setHeader('X-Accel-Buffering', 'no').write('{"row":1}\n')
      rest.once('wanted', () => response.end('{"row":2}\n'))
      return
    }
    response.end(`{"text":"${'fleet '.repeat(1_000)}"}`)
  })
  hub = await startHub()
  sockets = hub.sockets
  origin = await startOrigin({ queryApis: [api.port], streamHubs: [hub.port] })
})
beforeEach(() => {
  api.seen.length = 0
  hub.seen.length = 0
})

describe('what nginx answers itself', () => {
  const long = 'a'.repeat(65_536)
  test.each<[string, ProblemCode, string]>([
    ['a URL that can not be decoded', 'invalid_request', `GET /%zz HTTP/1.1\r\n${closing}\r\n`],
    ['a URL with NUL', 'invalid_request', `GET /api/%00 HTTP/1.1\r\n${closing}\r\n`],
    ['a URL above the root', 'invalid_request', `GET /api/../../map HTTP/1.1\r\n${closing}\r\n`],
    ['a URL with a backslash below /api', 'invalid_request', `GET /api/\\..\\..\\metrics HTTP/1.1\r\n${closing}\r\n`],
    ['HTTP/1.1 without Host', 'invalid_request', 'GET / HTTP/1.1\r\n\r\n'],
    ['a Host with a space', 'invalid_request', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['a header name with a space', 'invalid_request', `GET / HTTP/1.1\r\n${closing}a b: c\r\n\r\n`],
    ['no HTTP at all', 'invalid_request', 'hello\r\n\r\n'],
    ['TLS on the plain port', 'invalid_request', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['a version to come', 'invalid_request', `GET / HTTP/3.0\r\n${closing}\r\n`],
    [
      'an unknown transfer coding',
      'invalid_request',
      `POST /api/wsctl HTTP/1.1\r\n${closing}Transfer-Encoding: x\r\n\r\n`,
    ],
    ['a failed If-Match on a file', 'invalid_request', `GET / HTTP/1.1\r\n${closing}If-Match: "x"\r\n\r\n`],
    ['a file that is not there', 'not_found', `GET /nothing HTTP/1.1\r\n${closing}\r\n`],
    ['a folder without a page', 'not_found', `GET /assets/ HTTP/1.1\r\n${closing}\r\n`],
    ['the place of its own errors', 'not_found', `GET /problem HTTP/1.1\r\n${closing}\r\n`],
    ['an unknown method on a file', 'method_not_allowed', `FOO / HTTP/1.1\r\n${closing}\r\n`],
    ['an unknown method on the API', 'method_not_allowed', `FOO /api/map HTTP/1.1\r\n${closing}\r\n`],
    ['POST to a file', 'method_not_allowed', `POST / HTTP/1.1\r\n${closing}Content-Length: 2\r\n\r\nab`],
    ['TRACE', 'method_not_allowed', `TRACE /api/map HTTP/1.1\r\n${closing}\r\n`],
    [
      'a body too large for the API',
      'body_too_large',
      `POST /api/wsctl HTTP/1.1\r\n${closing}Content-Length: 2000000\r\n\r\n`,
    ],
    ['a URL of 64 KB', 'uri_too_long', `GET /${long} HTTP/1.1\r\n${closing}\r\n`],
    ['a header of 64 KB', 'headers_too_large', `GET /api/map HTTP/1.1\r\n${closing}Cookie: ${long}\r\n\r\n`],
    [
      'many headers',
      'headers_too_large',
      `GET /api/map HTTP/1.1\r\n${closing}${`X-A: ${'a'.repeat(1_000)}\r\n`.repeat(20)}\r\n`,
    ],
  ])('%s is %s in the words of the contract', async (_, code, bytes) => {
    expectProblem(await exchange(origin, bytes), code)
    expect(api.seen).toEqual([])
  })

  test.each<[string, ProblemCode, string]>([
    ['an unknown method', 'method_not_allowed', `FOO /api/v1/fleet?x=1 HTTP/1.1\r\n${closing}\r\n`],
    ['a URL with a backslash', 'invalid_request', `GET /api/v1/\\..\\fleet HTTP/1.1\r\n${closing}\r\n`],
    ['a large body', 'body_too_large', `POST /api/v1 HTTP/1.1\r\n${closing}Content-Length: 2000000\r\n\r\n`],
  ])('%s below /api/v1 is %s as RFC 9457 has it', async (_, code, bytes) => {
    expectProblemV1(await exchange(origin, bytes), code)
    expect(api.seen).toEqual([])
  })

  test('HEAD of what is not there has the headers and no body', async () => {
    const { status, headers, body } = await ask(origin, '/nothing', '', 'HEAD')
    expect([status, headers['content-type'], body]).toEqual([404, 'application/json', ''])
  })
})

test('an answer that its service cuts off is cut off for the client', async () => {
  const { status, body } = await ask(origin, '/api/v1/cut')
  expect([status, body]).toEqual([200, '5\r\na,1\r\n\r\n'])
})

test('with origins listed, an error of nginx itself may be read by their pages only', async () => {
  const listed = (text: string) =>
    text.replace('default "*";', 'default ""; "https://a.test" $http_origin; "https://b.test" $http_origin;')
  const port = await startOrigin({ queryApis: [api.port], streamHubs: [hub.port], edit: { 'upstreams.conf': listed } })
  const allowed = async (from: string) =>
    (await ask(port, '/nowhere', `Origin: ${from}\r\n`)).headers['access-control-allow-origin']
  expect(await allowed('https://b.test')).toBe('https://b.test')
  for (const other of ['https://b.test.evil', 'null', '*']) expect(await allowed(other)).toBe(undefined)
})

describe('the console', () => {
  test('is served with a validator, and not again to whom has it', async () => {
    const { status, headers, body } = await ask(origin, '/')
    expect([status, body]).toEqual([200, '<!doctype html><title>console</title>'])
    expect(headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' })
    expect((await ask(origin, '/', `If-None-Match: ${headers['etag']}\r\n`)).status).toBe(304)
  })

  test('is served whole, whatever range is wanted', async () => {
    expect((await ask(origin, '/', 'Range: bytes=9999-\r\n')).status).toBe(200)
  })

  test('may load nothing from elsewhere and be framed by nobody else', async () => {
    const { headers } = await ask(origin, '/')
    expect(headers['content-security-policy']).toMatch(/default-src 'self';.*frame-ancestors 'self'/)
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'same-origin' })
    expect(headers).not.toHaveProperty('access-control-allow-origin')
  })

  test('has files that browsers may keep, smaller for those who can unpack them', async () => {
    const plain = await ask(origin, '/assets/index-1a2b.js')
    const packed = await ask(origin, '/assets/index-1a2b.js', 'Accept-Encoding: gzip\r\n')
    expect(plain.headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'Accept-Encoding',
    })
    expect(plain.headers).not.toHaveProperty('content-encoding')
    expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip' })
    expect(packed.body.length).toBeLessThan(plain.body.length / 5)
  })
})

describe('the API', () => {
  test('hears the whole path and who asked', async () => {
    await ask(
      origin,
      '/api/vehicle/a%2Fb?x=%20y',
      'X-Request-ID: r-1\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n',
    )
    const [{ url, headers } = { url: '', headers: {} }] = api.seen
    expect(url).toBe('/api/vehicle/a%2Fb?x=%20y')
    expect(headers).toMatchObject({
      host: 'fleet.test',
      'x-forwarded-host': 'fleet.test',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '192.0.2.7, 127.0.0.1',
      'x-request-id': 'r-1',
    })
  })

  test('gets a request id and a scheme from nginx when the client sends none, or rubbish', async () => {
    await ask(origin, '/api/map', `X-Request-ID: ${'x'.repeat(65)}\r\nX-Forwarded-Proto: gopher\r\n`)
    expect(api.seen[0]?.headers).toMatchObject({
      'x-forwarded-proto': 'http',
      'x-request-id': expect.stringMatching(/^[\da-f]{32}$/),
    })
  })

  test.each([
    ['HTTPS', 'HTTPS'],
    ['https, http', 'https'],
    ['http,https', 'http'],
    ['httpsx', 'http'],
    ['ftp, https', 'http'],
  ])('hears of the X-Forwarded-Proto "%s" only "%s", what the browser used', async (given, heard) => {
    await ask(origin, '/api/map', `X-Forwarded-Proto: ${given}\r\n`)
    expect(api.seen[0]?.headers['x-forwarded-proto']).toBe(heard)
  })

  test('can be asked in HTTP/1.0 without a Host', async () => {
    expect((await exchange(origin, 'GET /api/map HTTP/1.0\r\n\r\n')).status).toBe(200)
  })

  test('gives its own errors unchanged', async () => {
    const { status, headers, body } = await ask(origin, '/api/v1/nothing')
    expect([status, JSON.parse(body)]).toEqual([404, { text: expect.any(String) }])
    expect(headers).toMatchObject({
      'content-type': 'application/problem+json',
      'access-control-allow-origin': 'https://a.test',
    })
    expect(headers).not.toHaveProperty('cache-control')
  })

  test('answers row by row, and each row is seen when it was sent', async () => {
    const outgoing = request({ port: origin, path: '/api/v1/slow' }).end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    expect(String((await once(response, 'data'))[0])).toBe('{"row":1}\n')
    expect(response.headers).not.toHaveProperty('x-accel-buffering')
    rest.emit('wanted')
    expect(String(await buffer(response))).toBe('{"row":2}\n')
  })

  test('keeps its coding and its validator', async () => {
    const headers = 'Accept-Encoding: gzip, zstd\r\n'
    const answer = await ask(origin, '/api/v1/compressed', headers)
    expect(answer.headers).toMatchObject({ 'content-encoding': 'zstd', etag: '"a-zstd"', vary: 'Accept-Encoding' })
    expect(answer.body).toHaveLength(5_000)
  })

  test('is asked over one connection again and again', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    cleanup.defer(() => agent.destroy())
    for (let turn = 0; turn < 20; turn++) {
      const outgoing = request({ agent, port: origin, path: '/api/map' }).end()
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
      await buffer(response)
    }
    expect(api.seen).toHaveLength(20)
    expect(new Set(api.seen.map(({ port }) => port)).size).toBe(1)
  })

  test.each(['/livez', '/readyz', '/metrics', '/api/../metrics', '/api/%2e%2e/metrics', '/api//../metrics'])(
    'does not show %s',
    async (path) => {
      expectProblem(await ask(origin, path), 'not_found')
      expect([...api.seen, ...hub.seen]).toEqual([])
    },
  )

  test('is not upgraded to another protocol', async () => {
    await ask(origin, '/api/map', 'Upgrade: h2c\r\n')
    expect(api.seen[0]?.headers).not.toHaveProperty('upgrade')
  })
})

async function openAt(port: number, path = '/ws', protocols: string[] = [], headers = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers })
  await once(socket, 'open')
  return socket
}
const open = (path: string, protocols: string[] = [], headers = {}) => openAt(origin, path, protocols, headers)

/** What the kernel holds of what nginx sent to this client. */
function heldFor(client: WebSocket, port: number): number {
  const { localPort } = (client as unknown as { _socket: Socket })['_socket']
  const at = (number: number) => `0100007F:${number.toString(16).toUpperCase().padStart(4, '0')}`
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find(([, local, remote]) => local === at(port) && remote === at(localPort!))
  return Number.parseInt(line![4]!.split(':')[0]!, 16)
}

describe('the live socket', () => {
  test.each(['/ws', '/', '/updates', '/api/map', '/assets/index-1a2b.js'])('opens on %s', async (path) => {
    const socket = await open(`${path}?client=abc`, [], { Upgrade: 'WebSocket', Origin: 'https://elsewhere.test' })
    socket.send('hello')
    expect(String((await once(socket, 'message'))[0])).toBe('hello')
    socket.close()
    expect(hub.seen).toMatchObject([{ url: '/ws?client=abc', headers: { origin: 'https://elsewhere.test' } }])
    expect(api.seen).toEqual([])
  })

  test('keeps the sub-protocol and the close code', async () => {
    const socket = await open('/ws', ['flasktoria.v2'])
    expect(socket.protocol).toBe('flasktoria.v2')
    for (const client of sockets.clients) client.close(4_001, 'draining')
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
    expect([code, String(reason)]).toEqual([4_001, 'draining'])
  })

  test('carries large frames both ways', async () => {
    const socket = await open('/ws')
    const frame = Buffer.alloc(4 * 1_048_576, 'fleet')
    socket.send(frame)
    const [echo] = (await once(socket, 'message')) as [Buffer]
    expect(echo.equals(frame)).toBe(true)
    socket.close()
  })

  test('is refused in the words of the contract, whatever the hub says', async () => {
    const refused = await ask(origin, '/ws', 'Upgrade: websocket\r\n')
    expect(refused.status).toBe(400)
    expectProblem(refused, 'invalid_request')
  })

  test('is opened by another hub while one takes nobody, and is 503 when none does', async () => {
    const loading = await startBackend()
    loading.server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\nlog\n'))
    const replicated = await startOrigin({ queryApis: [api.port], streamHubs: [loading.port, hub.port, loading.port] })
    for (let turn = 0; turn < 6; turn++) {
      const socket = new WebSocket(`ws://127.0.0.1:${replicated}/ws`)
      await once(socket, 'open')
      socket.close()
    }
    const unready = await startOrigin({ queryApis: [api.port], streamHubs: [loading.port, loading.port] })
    const answer = await ask(unready, '/updates', 'Upgrade: websocket\r\n')
    expectProblem(answer, 'unavailable')
    expect(answer.headers['retry-after']).toBe('1')
  })

  test('goes to the hub that has the fewest', async () => {
    const hubs = await Promise.all([startHub(), startHub(), startHub()])
    const port = await startOrigin({ queryApis: [api.port], streamHubs: hubs.map((it) => it.port) })
    const opened: WebSocket[] = []
    for (let count = 0; count < 30; count++) opened.push(await openAt(port))
    expect(hubs.map((it) => it.sockets.clients.size)).toEqual([10, 10, 10])
    const [, crowded] = hubs
    for (const client of crowded.sockets.clients) client.close(4_000)
    await vi.waitUntil(() => opened.filter((socket) => socket.readyState === WebSocket.CLOSED).length === 10)
    for (let count = 0; count < 10; count++) opened.push(await openAt(port))
    expect(hubs.map((it) => it.sockets.clients.size)).toEqual([10, 10, 10])
    for (const socket of opened) socket.close()
  })

  test('goes to other hubs after a reload, and open ones do not notice', { timeout: 30_000 }, async () => {
    const [first, second] = [await startHub(), await startHub()]
    const { dir, port } = await placeOrigin({ queryApis: [api.port], streamHubs: [first.port] })
    const old = await openAt(port)
    const upstreams = join(dir, 'upstreams.conf')
    writeFileSync(upstreams, readFileSync(upstreams, 'utf8').replace(`:${first.port} `, `:${second.port} `))
    process.kill(Number(readFileSync(join(dir, 'nginx.pid'), 'utf8')), 'SIGHUP')
    await vi.waitUntil(
      async () => {
        const socket = await openAt(port)
        socket.close()
        return second.seen.length > 0
      },
      { timeout: 5_000 },
    )
    await sleep(7_000)
    old.send('still here')
    expect(String((await once(old, 'message'))[0])).toBe('still here')
    old.close()
  })

  test(
    'goes to a hub that came back as to any other, though no socket has ended since',
    { timeout: 30_000 },
    async () => {
      const back = await freePort()
      const stayed = await startHub()
      const port = await startOrigin({ queryApis: [api.port], streamHubs: [back, stayed.port] })
      for (let count = 0; count < 4; count++) await openAt(port)
      expect(stayed.sockets.clients.size).toBe(4)
      const returned = await startHub(back)
      // As long as one that failed is left out.
      await sleep(4_500)
      for (let count = 0; count < 8; count++) await openAt(port)
      expect([returned, stayed].map((it) => it.sockets.clients.size)).toEqual([6, 6])
    },
  )

  test('waits for a frozen hub once, and then goes to the others', { timeout: 30_000 }, async () => {
    const accepted = new Set<Socket>()
    const frozen = createTcpServer((socket) => accepted.add(socket.on('error', () => {}).resume()))
    frozen.listen(0, '127.0.0.1')
    await once(frozen, 'listening')
    cleanup.defer(() => {
      for (const socket of accepted) socket.destroy()
      frozen.close()
    })
    const healthy = await startHub()
    const port = await startOrigin({
      queryApis: [api.port],
      streamHubs: [(frozen.address() as AddressInfo).port, healthy.port],
      edit: {
        'nginx.conf': (text) => text.replace('proxy_read_timeout 30s', 'proxy_read_timeout 1s'),
        'upstreams.conf': (text) => text.replaceAll('fail_timeout=3s', 'fail_timeout=20s'),
      },
    })
    const waits: number[] = []
    for (let count = 0; count < 20; count++) {
      const begunAt = performance.now()
      await openAt(port)
      waits.push(performance.now() - begunAt)
    }
    expect(waits.filter((wait) => wait > 500)).toHaveLength(1)
    expect(Math.max(...waits)).toBeLessThan(2_000)
    expect(accepted.size).toBe(1)
    // Silence ends a socket like a handshake: one second here. The hub's pings keep it open.
    const kept = await openAt(port)
    const pings = setInterval(() => [...healthy.sockets.clients].at(-1)?.ping(), 200)
    await sleep(2_500)
    clearInterval(pings)
    expect(kept.readyState).toBe(WebSocket.OPEN)
    kept.close()
  })

  test('of a browser that does not read holds little, and says the rest later, and the code', async () => {
    const socket = await open('/ws')
    const [client] = [...sockets.clients].slice(-1)
    const received: number[] = []
    socket.on('message', (data: Buffer) => received.push(data.length))
    socket.pause()
    const frame = 'x'.repeat(65_536)
    let sent = 0
    await vi.waitUntil(
      async () => {
        for (let count = 0; count < 16; count++, sent++) client!.send(frame)
        await sleep(50)
        return client!.bufferedAmount > 1 << 20
      },
      { timeout: 10_000, interval: 1 },
    )
    // Linux doubles what is asked for, and one segment may go beyond.
    expect(heldFor(socket, origin)).toBeLessThanOrEqual(2 * 128 * 1_024 + 65_536)
    client!.close(4_001, 'tooSlow')
    socket.resume()
    const [code] = (await once(socket, 'close')) as [number]
    expect([code, received.length]).toEqual([4_001, sent])
  })

  test('is not opened by a request with a body: the hub would read it as frames', async () => {
    const upgrade = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
    expectProblem(await ask(origin, '/ws', `${upgrade}Content-Length: 2\r\n`), 'not_found')
    expectProblem(await ask(origin, '/ws', `${upgrade}Transfer-Encoding: chunked\r\n`), 'not_found')
    expect(hub.seen).toEqual([])
  })

  test('is nothing that could be asked without an upgrade', async () => {
    expectProblem(await ask(origin, '/ws'), 'not_found')
    expect(hub.seen).toEqual([])
  })
})

describe('limits', () => {
  test('answer 429 to an address that asks too often', async () => {
    const limited = await startOrigin({
      queryApis: [api.port],
      streamHubs: [hub.port],
      edit: { 'upstreams.conf': (text) => text.replace(/rate=\d+r\/s/, 'rate=1r/m').replace(/burst=\d+/, 'burst=1') },
    })
    expect((await ask(limited, '/api/map')).status).toBe(200)
    expect((await ask(limited, '/api/map')).status).toBe(200)
    const refused = await ask(limited, '/api/map')
    expectProblem(refused, 'too_many_requests')
    expect(refused.headers['retry-after']).toBe('1')
    expectProblem(await ask(limited, '/'), 'too_many_requests')
  })

  test('answer 429 to an address with too many sockets', async () => {
    const limited = await startOrigin({
      queryApis: [api.port],
      streamHubs: [hub.port],
      edit: { 'upstreams.conf': (text) => text.replace(/connections \d+/, 'connections 1') },
    })
    expect((await ask(limited, '/api/map')).status).toBe(200)
    // nginx may take a moment to notice that the connection of the question is closed.
    const tryToOpen = () => {
      const socket = new WebSocket(`ws://127.0.0.1:${limited}/ws`)
      return once(socket, 'open').then(
        () => socket,
        () => undefined,
      )
    }
    const socket = await vi.waitUntil(tryToOpen, { timeout: 5_000 })
    expectProblem(await ask(limited, '/api/map'), 'too_many_requests')
    socket.close()
  })
})

describe('a service that fails', () => {
  test('and is not there is 502', async () => {
    const nobody = await freePort()
    const lonely = await startOrigin({ queryApis: [nobody], streamHubs: [nobody] })
    const answer = await ask(lonely, '/api/map')
    expectProblem(answer, 'bad_gateway')
    expect(answer.headers['retry-after']).toBe('1')
    const answerV1 = await ask(lonely, '/api/v1/fleet', 'X-Request-ID: r-1\r\n')
    expectProblemV1(answerV1, 'bad_gateway')
    expect(JSON.parse(answerV1.body)).toMatchObject({ requestId: 'r-1' })
    expect(answerV1.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' })
    const upgrade = 'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n'
    expectProblem(await exchange(lonely, upgrade), 'bad_gateway')
  })

  test('to be reached is replaced by its replica, for POST too', async () => {
    const nobody = await freePort()
    const replicated = await startOrigin({ queryApis: [nobody, api.port, nobody], streamHubs: [hub.port] })
    const statuses: number[] = []
    for (let turn = 0; turn < 12; turn++) statuses.push((await ask(replicated, '/api/wsctl', '', 'POST')).status)
    expect(statuses).toEqual(Array<number>(12).fill(200))
    expect(api.seen).toHaveLength(12)
  })

  test('after it got a POST is not asked again: the mute may be done', async () => {
    const broken = await startBackend((incoming) => incoming.socket.destroy())
    const replicated = await startOrigin({ queryApis: [broken.port, broken.port], streamHubs: [hub.port] })
    expectProblem(await ask(replicated, '/api/wsctl', '', 'POST'), 'bad_gateway')
    expect(broken.seen).toHaveLength(1)
  })

  test('to answer in time is 504, and the question is not put to a replica', async () => {
    const silent = await startBackend(() => {})
    const impatient = await startOrigin({
      queryApis: [silent.port, silent.port],
      streamHubs: [hub.port],
      edit: {
        'nginx.conf': (text) =>
          text
            .replace('proxy_next_upstream_timeout 5s', 'proxy_next_upstream_timeout 500ms')
            .replace('proxy_read_timeout 75s', 'proxy_read_timeout 1s'),
      },
    })
    expectProblem(await ask(impatient, '/api/map'), 'gateway_timeout')
    expect(silent.seen).toHaveLength(1)
  })
})
