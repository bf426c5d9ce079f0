import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { listenWithUws } from './socket-uws.ts'
import { eventually, TestSocket } from './test-socket.ts'
import type { Connection, Handshake, Receiver, SocketServerOptions } from './transport.ts'

let cleanup = new DisposableStack()
afterEach(() => {
  cleanup.dispose()
  cleanup = new DisposableStack()
})

const silent: Receiver = { onMessage: () => {}, onDrain: () => {}, onPong: () => {}, onClose: () => {} }

async function serve(
  receive: (connection: Connection) => Partial<Receiver>,
  options: Partial<SocketServerOptions> = {},
) {
  const handshakes: Handshake[] = []
  const server = await listenWithUws({
    host: '127.0.0.1',
    port: 0,
    maxMessageBytes: 1_000,
    maxBufferedBytes: 1 << 20,
    idleTimeoutMs: 60_000,
    admit(handshake) {
      handshakes.push(handshake)
      return { isAdmitted: true, open: (connection) => ({ ...silent, ...receive(connection) }) }
    },
    answer: async () => undefined,
    ...options,
  })
  cleanup.defer(() => server.close())
  const open = async (path = '/', headers = {}) =>
    cleanup.adopt(await TestSocket.open(`ws://127.0.0.1:${server.port}${path}`, { headers }), (it) => it.end())
  return { server, handshakes, open }
}

test('a connection tells what the browser said at its first request', async () => {
  const { handshakes, open } = await serve(() => ({}))
  await open('/a/b?client=x&y=%20', { origin: 'https://a.example', cookie: 'a=1; b=2' })
  await open()
  expect(handshakes).toEqual([
    { query: 'client=x&y=%20', origin: 'https://a.example', cookie: 'a=1; b=2', protocols: [] },
    { query: '', origin: '', cookie: '', protocols: [] },
  ])
})

test('a request with many cookies is no reason to end without an answer', async () => {
  const { handshakes, open } = await serve(() => ({}))
  await open('/', { cookie: 'x='.padEnd(9_000, 'y') })
  expect(handshakes[0]!.cookie).toHaveLength(9_000)
})

test('large frames that are sent from drain arrive, however often the client stalls', async () => {
  const frame = JSON.stringify({ updates: [], text: 'x'.repeat(60_000) })
  const rounds = 400
  let sent = 0
  const { open } = await serve((connection) => {
    const send = () => {
      for (; sent < rounds && connection.bufferedBytes === 0; sent++) connection.send(frame)
    }
    return { onMessage: send, onDrain: send }
  })
  const client = await open()
  client.send('go')
  await eventually(async () => {
    client.stall()
    await sleep(20)
    client.goOn()
    await sleep(20)
    return client.texts.length === rounds
  })
  expect(sent).toBe(rounds)
})

test('a connection says what became of a frame, and refuses it beyond its buffer', async () => {
  const opened = Promise.withResolvers<Connection>()
  const { open } = await serve((connection) => {
    opened.resolve(connection)
    return {}
  })
  const client = await open()
  const connection = await opened.promise
  client.stall()
  const results = Array.from({ length: 300 }, () => connection.send(new Uint8Array(65_536).fill(0x20)))
  expect(new Set(results)).toEqual(new Set(['sent', 'queued', 'refused']))
  expect(results).toEqual(results.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)))
  expect(connection.bufferedBytes).toBeLessThan((1 << 20) + 2 * 65_536)
})
const order = ['sent', 'queued', 'refused']

test('a connection that was closed may be touched without harm, and closes with its code', async () => {
  const opened = Promise.withResolvers<Connection>()
  let closes = 0
  const { open } = await serve((connection) => {
    opened.resolve(connection)
    return { onClose: () => closes++ }
  })
  const client = await open()
  const connection = await opened.promise
  connection.close(4_123, 'because')
  connection.close(4_124, 'again')
  connection.ping()
  expect(connection.send('x')).toBe('refused')
  expect(connection.bufferedBytes).toBe(0)
  expect(await client.closed()).toBe(4_123)
  expect(closes).toBe(1)
})

test('a message beyond the fuse ends its connection, and only that', async () => {
  const received: number[] = []
  const { open } = await serve(() => ({ onMessage: (data) => received.push(data.length) }))
  const [one, other] = [await open(), await open()]
  one.send('x'.repeat(1_001))
  await one.closed()
  other.send('x'.repeat(1_000))
  await eventually(() => received.length === 1)
  expect(received).toEqual([1_000])
})

test('a client that goes away while its question is answered harms nobody', async () => {
  const asked = Promise.withResolvers<void>()
  const { server, open } = await serve(() => ({}), {
    answer: async () => {
      asked.resolve()
      await sleep(100)
      return { status: 200, contentType: 'text/plain', body: 'late' }
    },
  })
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  await asked.promise
  socket.destroy()
  await once(socket, 'close')
  await sleep(200)
  await open()
  expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(200)
})

test('an answer that fails is a 500 without details', async () => {
  const { server } = await serve(() => ({}), { answer: () => Promise.reject(new Error('secret')) })
  const response = await fetch(`http://127.0.0.1:${server.port}/`)
  expect(response.status).toBe(500)
  expect(await response.text()).not.toContain('secret')
})

test.each(['\r\n\r\n', 'GET / HTTP/9\r\n\r\n', '\u0016\u0003\u0001', 'GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n'])(
  'bytes that are no request (%j) cost one connection',
  async (bytes) => {
    const { server, open } = await serve(() => ({}))
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(bytes)
    await sleep(50)
    socket.destroy()
    expect((await open()).closeCode).toBeUndefined()
  },
)

test('after it stops listening nobody comes in, and the open connections stay', async () => {
  const { server, open } = await serve((connection) => ({ onMessage: () => connection.send('{"type":"pong"}') }))
  const client = await open()
  server.stopListening()
  server.stopListening()
  await expect(open()).rejects.toThrow('ECONNREFUSED')
  client.send('x')
  await eventually(() => client.texts.length === 1)
})

test('without its addon the service says so in a sentence and ends with 1', () => {
  const hook = `import { registerHooks } from 'node:module'
    registerHooks({ resolve(name, context, next) {
      if (name === 'uWebSockets.js') throw new Error('no such addon')
      return next(name, context)
    } })`
  const result = spawnSync(
    process.execPath,
    [`--import=data:text/javascript,${encodeURIComponent(hook)}`, fileURLToPath(new URL('main.ts', import.meta.url))],
    { encoding: 'utf8', timeout: 20_000, env: { REDIS_URL: 'redis://127.0.0.1:1', PORT: '0', LOG_LEVEL: 'silent' } },
  )
  expect(result.stderr).toMatch(/^uWebSockets\.js has no addon that loads in Node v/)
  expect(result.status).toBe(1)
})
