import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { serve } from './test-socket-server.ts'
import { frameOf, handshakeText, opcodes, RawSocket } from './test-socket-raw.ts'
import { eventually, TestSocket } from './test-socket.ts'
import type { Listen, SendResult } from './transport.ts'

const order: SendResult[] = ['sent', 'queued', 'refused']
const text = (length: number, start = '') => start.padEnd(length, 'x')
const pongsOf = (raw: RawSocket) => raw.frames.filter(({ opcode }) => opcode === opcodes.pong)

/** What the hub may rely on, whatever library serves the sockets. */
export function describeSocketServer(getListen: () => Listen): void {
  const listen: Listen = (options) => getListen()(options)

  describe('a handshake', () => {
    test('tells what the browser said', async () => {
      const { handshakes, open } = await serve(listen)
      await open('/a/b?client=x&y=%20', { origin: 'https://a.example', cookie: 'a=1; b=2' })
      await open()
      expect(handshakes).toEqual([
        { query: 'client=x&y=%20', origin: 'https://a.example', cookie: 'a=1; b=2', protocols: [] },
        { query: '', origin: '', cookie: '', protocols: [] },
      ])
    })

    test('is told apart from the others that come with it', async () => {
      const { handshakes, open } = await serve(listen)
      const queries = Array.from({ length: 50 }, (_, index) => `client=${index}&x=${text(index * 20)}`)
      await Promise.all(queries.map((query) => open(`/?${query}`, { cookie: `whose=${query}` })))
      expect(handshakes.map(({ query }) => query).toSorted()).toEqual(queries.toSorted())
      for (const { query, cookie } of handshakes) expect(cookie).toBe(`whose=${query}`)
    })

    test('gets the sub-protocol that was selected, or none, and never an extension', async () => {
      const admit = (protocol?: string) => ({
        admit: () => ({
          isAdmitted: true as const,
          ...(protocol && { protocol }),
          open: () => ({ onMessage() {}, onDrain() {}, onPong() {}, onClose() {} }),
        }),
      })
      const offer = {
        'Sec-WebSocket-Protocol': 'other, chosen,,',
        'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
      }
      const chosen = await (await serve(listen, undefined, admit('chosen'))).raw(offer)
      expect(chosen.headers).toMatch(/^sec-websocket-protocol: chosen$/im)
      const none = await (await serve(listen, undefined, admit())).raw(offer)
      expect(none.status).toBe(101)
      expect(none.headers).not.toMatch(/^sec-websocket-protocol/im)
      for (const { headers } of [chosen, none]) expect(headers).not.toMatch(/^sec-websocket-extensions/im)
    })

    test('may bring many cookies, but not any number', async () => {
      const { handshakes, open, connect: begin } = await serve(listen)
      await open('/', { cookie: 'x='.padEnd(9_000, 'y') })
      expect(handshakes[0]!.cookie).toHaveLength(9_000)
      const greedy = begin()
      greedy.write(handshakeText('/', { Cookie: text(17_000) }))
      await eventually(() => greedy.status === 431)
      await greedy.closed()
    })

    test.each([
      [403, 'Forbidden'],
      [503, 'Service Unavailable'],
    ] as const)('is refused with %d and a word', async (status, title) => {
      const admit = () => ({ isAdmitted: false as const, status, reason: 'because' })
      const { connect: begin } = await serve(listen, undefined, { admit })
      const raw = begin()
      raw.write(handshakeText())
      await eventually(() => raw.status)
      expect(raw.headers).toContain(`HTTP/1.1 ${status} ${title}`)
      expect(/^retry-after: 1$/im.test(raw.headers)).toBe(status === 503)
    })

    test('that takes for ever is given up', { timeout: 30_000 }, async () => {
      const { connect: begin } = await serve(listen)
      const [mute, slow, dribbling] = [begin(), begin(), begin()]
      slow.write(handshakeText().slice(0, -2))
      dribbling.write('GET / HTTP/1.1\r\nX: ')
      const dribble = setInterval(() => dribbling.write('x'), 500)
      const all = [mute, slow, dribbling]
      await expect.poll(() => all.every(({ isClosed }) => isClosed), { timeout: 25_000, interval: 100 }).toBe(true)
      clearInterval(dribble)
    })

    test.each([
      ['nothing', '\r\n\r\n'],
      ['a version to come', 'GET / HTTP/9\r\n\r\n'],
      ['TLS', '\u0016\u0003\u0001'],
      ['no key', handshakeText().replace(/Sec-WebSocket-Key.*\r\n/, '')],
      ['another method', handshakeText().replace('GET', 'POST')],
      ['NUL', handshakeText('/', { Cookie: 'a\0b' })],
    ])('that is none (%s) costs one connection', async (_, bytes) => {
      const { handshakes, server, open } = await serve(listen)
      const raw = new RawSocket(server.port)
      raw.write(bytes)
      await Promise.race([raw.closed(), eventually(() => raw.status), sleep(200)])
      raw.end()
      expect((await open()).closeCode).toBeUndefined()
      expect(handshakes).toHaveLength(1)
    })

    test('whose client is gone before it is answered harms nobody', async () => {
      const { server, closes, connections, open } = await serve(listen, (connection) => {
        connection.send(text(100_000))
        return {}
      })
      for (let turn = 0; turn < 20; turn++) {
        const socket = connect(server.port, '127.0.0.1', () => {
          socket.write(handshakeText())
          if (turn % 2) socket.resetAndDestroy()
          else socket.end()
        })
        socket.on('error', () => {})
      }
      await open()
      await eventually(() => closes.length === connections.length - 1)
      expect(new Set(closes)).toEqual(new Set([1006]))
    })
  })

  describe('a frame', () => {
    test('may be overwritten as soon as it was handed over', async () => {
      const { connections, raw: open } = await serve(listen)
      const raw = await open()
      raw.stall()
      const frame = new Uint8Array(50_000)
      let sent = 0
      for (let result: SendResult = 'sent'; result !== 'refused'; sent++) {
        frame.fill(sent % 256)
        result = connections[0]!.send(frame)
      }
      frame.fill(255)
      raw.goOn()
      const payloads = await eventually(() => raw.frames.length === sent - 1 && raw.frames)
      for (const [index, { payload }] of payloads.entries())
        expect(payload.equals(Buffer.alloc(50_000, index % 256)), String(index)).toBe(true)
    })

    test('that was sent or queued arrives, in order, and one that was refused does not', async () => {
      const drains: number[] = []
      const { connections, open } = await serve(listen, (connection) => ({
        onDrain: () => drains.push(connection.bufferedBytes),
      }))
      const client = await open()
      const [connection] = connections
      client.stall()
      const results = Array.from({ length: 300 }, (_, index) =>
        connection!.send(JSON.stringify({ index, text: text(65_536) })),
      )
      expect(new Set(results)).toEqual(new Set(order))
      // Between them, the kernel may take what waited, and more.
      expect([results[0], results.at(-1)]).toEqual(['sent', 'refused'])
      // One frame may go beyond.
      expect(connection!.bufferedBytes).toBeGreaterThan(1 << 20)
      expect(connection!.bufferedBytes).toBeLessThan((1 << 20) + 2 * 65_536)
      expect(drains).toEqual([])
      client.goOn()
      await eventually(() => connection!.bufferedBytes === 0 && drains.at(-1) === 0)
      expect(connection!.send('{"index":"last"}')).toBe('sent')
      await eventually(() => client.texts.at(-1) === '{"index":"last"}')
      const arrived = client.frames.map((frame) => (frame as unknown as { index: number }).index)
      expect(arrived).toEqual([...results.keys().filter((index) => results[index] !== 'refused'), 'last'])
    })

    test('of any length is queued once nothing waits beyond the bound', async () => {
      const { connections, open } = await serve(listen, undefined, { maxBufferedBytes: 1 << 17 })
      const client = await open()
      client.stall()
      expect(connections[0]!.send(text(16 << 20, '"').slice(0, -1) + '"')).toBe('queued')
      expect(connections[0]!.send('x')).toBe('refused')
      client.goOn()
      await eventually(() => client.texts.length === 1)
      expect(client.texts[0]).toHaveLength(16 << 20)
    })

    test('that is large and sent from onDrain arrives, however often the client stalls', async () => {
      const frame = JSON.stringify({ updates: [], text: text(60_000) })
      const rounds = 400
      let sent = 0
      const { open } = await serve(listen, (connection) => {
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

    test('may be sent while the connection opens', async () => {
      const { open } = await serve(listen, (connection) => {
        connection.send('{"hello":"Ä🚚"}')
        return {}
      })
      const client = await open()
      await eventually(() => client.texts.length > 0)
      expect(client.texts).toEqual(['{"hello":"Ä🚚"}'])
    })
  })

  describe('a message', () => {
    test('comes whole, however it was cut', async () => {
      const received: string[] = []
      const { raw: open } = await serve(listen, () => ({
        onMessage: (data, isBinary) =>
          received.push(`${isBinary ? 'binary' : 'text'} ${Buffer.from(data).toString('hex')}`),
      }))
      const raw = await open()
      const bytes = Buffer.concat([
        frameOf('a', { isLast: false }),
        frameOf('', { opcode: opcodes.ping }),
        frameOf(Buffer.from([0xc3]), { opcode: opcodes.continuation, isLast: false }),
        frameOf(Buffer.from([0x84]), { opcode: opcodes.continuation }),
        frameOf(Buffer.from([0, 255]), { opcode: opcodes.binary }),
        frameOf(''),
      ])
      for (const byte of bytes) {
        raw.write(Uint8Array.of(byte))
        await sleep(1)
      }
      await eventually(() => received.length === 3)
      expect(received).toEqual(['text 61c384', 'binary 00ff', 'text '])
    })

    test.each([
      ['whole', [frameOf(text(1_001))]],
      ['in fragments', [frameOf(text(600), { isLast: false }), frameOf(text(401), { opcode: opcodes.continuation })]],
      ['announced only', [frameOf('', { claimedLength: 2 ** 40 })]],
    ])('beyond the bound, %s, ends its connection, and only that', async (_, frames) => {
      const received: number[] = []
      const { closes, raw: open } = await serve(listen, () => ({ onMessage: (data) => received.push(data.length) }))
      const [one, other] = [await open(), await open()]
      one.write(Buffer.concat(frames))
      await one.closed()
      expect(closes).toEqual([1006])
      other.write(frameOf(text(1_000)))
      await eventually(() => received.length === 1)
      expect(received).toEqual([1_000])
      expect(other.isClosed).toBe(false)
    })

    test.each<[string, Buffer[]]>([
      ['a reserved bit', [frameOf('x', { rsv: 4 })]],
      ['another reserved bit', [frameOf('x', { rsv: 1 })]],
      ['a reserved opcode', [frameOf('x', { opcode: 3 })]],
      ['a reserved control opcode', [frameOf('', { opcode: 11 })]],
      ['text that is no UTF-8', [frameOf(Buffer.from([0xc3, 0x28]))]],
      [
        'UTF-8 broken between fragments',
        [frameOf(Buffer.from([0xc3]), { isLast: false }), frameOf('(', { opcode: opcodes.continuation })],
      ],
      ['a continuation of nothing', [frameOf('x', { opcode: opcodes.continuation })]],
      ['a message within a message', [frameOf('x', { isLast: false }), frameOf('y')]],
      ['a long ping', [frameOf(text(126), { opcode: opcodes.ping })]],
      ['a ping in fragments', [frameOf('x', { opcode: opcodes.ping, isLast: false })]],
      ['a close with a code that is none', [frameOf(Buffer.from([0x03, 0xed]), { opcode: opcodes.close })]],
      ['frames without mask', [frameOf(text(500), { isMasked: false }), frameOf(text(900), { isMasked: false })]],
    ])('with %s ends its connection, and only that', async (_, frames) => {
      let received = 0
      const { closes, raw: open } = await serve(listen, () => ({ onMessage: () => received++ }))
      const [one, other] = [await open(), await open()]
      one.write(Buffer.concat(frames))
      await one.closed()
      await eventually(() => closes.length === 1)
      expect([closes, received]).toEqual([[1006], 0])
      other.write(frameOf('x'))
      await eventually(() => received === 1)
    })
  })

  describe('a ping', () => {
    test('of ours comes back behind the data, when the client reads it', async () => {
      let pongs = 0
      const { connections, open } = await serve(listen, () => ({ onPong: () => pongs++ }))
      const client = await open()
      client.stall()
      for (let count = 0; count < 10; count++) connections[0]!.send(JSON.stringify(text(10_000)))
      connections[0]!.ping()
      let framesBefore = 0
      client.socket.on('ping', () => (framesBefore = client.texts.length))
      await sleep(200)
      expect(pongs).toBe(0)
      client.goOn()
      await eventually(() => pongs === 1)
      expect(framesBefore).toBe(10)
    })

    test('of ours is not sent beyond the bound', async () => {
      let pongs = 0
      const { connections, open } = await serve(listen, () => ({ onPong: () => pongs++ }))
      const client = await open()
      client.stall()
      while (connections[0]!.send(JSON.stringify(text(65_536))) !== 'refused');
      connections[0]!.ping()
      client.goOn()
      await eventually(() => connections[0]!.bufferedBytes === 0)
      connections[0]!.ping()
      await eventually(() => pongs > 0)
      expect(pongs).toBe(1)
    })

    test('of the client is answered with its bytes', async () => {
      const { raw: open } = await serve(listen)
      const raw = await open()
      raw.write(frameOf('abc', { opcode: opcodes.ping }))
      const [pong] = await eventually(() => pongsOf(raw).length > 0 && pongsOf(raw))
      expect(pong!.payload.toString()).toBe('abc')
    })

    test('flood of a client that does not read stays within the bound', async () => {
      const { connections, raw: open } = await serve(listen, undefined, { maxBufferedBytes: 1 << 17 })
      const raw = await open()
      raw.stall()
      while (connections[0]!.send(text(60_000)) !== 'refused');
      const before = connections[0]!.bufferedBytes
      const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frameOf(text(100), { opcode: opcodes.ping })))
      for (let turn = 0; turn < 50; turn++) raw.write(pings)
      await sleep(300)
      expect(connections[0]!.bufferedBytes).toBeLessThanOrEqual(before)
    })
  })

  describe('the end of a connection', () => {
    test('by us comes with its code and reason; touching it again does no harm', async () => {
      const { connections, closes, open } = await serve(listen)
      const client = await open()
      const [connection] = connections
      const reasons: string[] = []
      client.socket.on('close', (_, reason) => reasons.push(reason.toString()))
      connection!.close(4_123, 'because')
      expect(closes).toEqual([4_123])
      connection!.close(4_124, 'again')
      connection!.ping()
      expect(connection!.send('x')).toBe('refused')
      expect(connection!.bufferedBytes).toBe(0)
      expect(await client.closed()).toBe(4_123)
      expect(reasons).toEqual(['because'])
      await sleep(50)
      connection!.ping()
      connection!.close(4_125, 'and again')
      expect(connection!.send('x')).toBe('refused')
      expect(closes).toEqual([4_123])
    })

    test.each([
      ['something waits', 1],
      ['more waits than is allowed', 1_000],
    ])('by us while %s comes behind it, with its code', async (_, frames) => {
      const { connections, closes, raw: open } = await serve(listen)
      const raw = await open()
      const [connection] = connections
      raw.stall()
      let kept = 0
      let result: SendResult = 'sent'
      for (let beyond = 0; beyond < frames && result !== 'refused';) {
        result = connection!.send(text(65_536))
        if (result !== 'refused') kept++
        if (result === 'queued') beyond++
      }
      connection!.close(4_001, 'too slow')
      expect(closes).toEqual([4_001])
      raw.goOn()
      await raw.closed()
      expect(raw.frames.filter(({ opcode }) => opcode === opcodes.text)).toHaveLength(kept)
      expect(raw.closeCode).toBe(4_001)
      expect(closes).toEqual([4_001])
    })

    test('by us in the middle of a message of the client is the last that is heard of it', async () => {
      const heard: string[] = []
      const { raw: open } = await serve(listen, (connection) => ({
        onMessage(data) {
          heard.push(Buffer.from(data).toString())
          connection.close(4_502, 'enough')
        },
        onPong: () => heard.push('pong'),
        onClose: () => heard.push('close'),
      }))
      const raw = await open()
      raw.write(Buffer.concat([frameOf('a'), frameOf('b'), frameOf('', { opcode: opcodes.pong }), frameOf('c')]))
      await raw.closed()
      await sleep(50)
      expect(heard).toEqual(['a', 'close'])
    })

    test.each<[string, number, Buffer | undefined]>([
      ['a code', 4_321, frameOf(Buffer.from([0x10, 0xe1, 0x41]), { opcode: opcodes.close })],
      ['no code', 1005, frameOf('', { opcode: opcodes.close })],
      ['no word', 1006, undefined],
    ])('by the client with %s is told once', async (_, code, frame) => {
      const { closes, raw: open } = await serve(listen)
      const raw = await open()
      if (frame) raw.write(frame)
      else raw.socket.end()
      await eventually(() => closes.length > 0)
      await raw.closed()
      expect(closes).toEqual([code])
    })

    test('by a reset of the network is told once', async () => {
      const { connections, closes, raw: open } = await serve(listen)
      const raw = await open()
      raw.socket.resetAndDestroy()
      await eventually(() => closes.length > 0)
      expect(connections[0]!.send('x')).toBe('refused')
      expect(closes).toEqual([1006])
    })

    // The shortest idle timeout that uWebSockets.js has: they wait for it side by side.
    const idle = { idleTimeoutMs: 8_000 }

    test.concurrent(
      'comes when nothing came from the client for long, whatever was sent to it',
      { timeout: 40_000 },
      async (context) => {
        const { connections, closes, raw: open } = await serve(listen, undefined, idle, context.onTestFinished)
        const [dead, alive] = [await open(), await open()]
        // A half-open one: its end does not even answer pings.
        const begunAt = performance.now()
        const pulse = setInterval(() => {
          alive.write(frameOf('', { opcode: opcodes.pong }))
          connections[0]!.ping()
          connections[0]!.send('x')
        }, 1_000)
        await context.expect.poll(() => dead.isClosed, { timeout: 20_000, interval: 50 }).toBe(true)
        clearInterval(pulse)
        expect(performance.now() - begunAt).toBeGreaterThan(7_900)
        expect(closes).toEqual([1006])
        expect(alive.isClosed).toBe(false)
        // The library asks nothing by itself.
        expect(alive.frames).toEqual([])
      },
    )

    test.concurrent.for<[string, SendResult]>([
      ['something waits', 'queued'],
      ['as much waits as may', 'refused'],
    ])(
      'by us while %s frees the socket of a client that never reads',
      { timeout: 60_000 },
      async ([, last], context) => {
        const { server, connections, raw: open } = await serve(listen, undefined, idle, context.onTestFinished)
        const raw = await open()
        raw.stall()
        // While it still talks.
        const flood = setInterval(() => raw.write(frameOf(text(100))), 500)
        while (connections[0]!.send(text(65_536)) !== last);
        connections[0]!.close(4_001, 'too slow')
        expect(heldAt(server.port)).toBe(1)
        await context.expect.poll(() => heldAt(server.port), { timeout: 40_000, interval: 200 }).toBe(0)
        clearInterval(flood)
      },
    )
  })

  describe('the server', () => {
    test('answers other requests on the same port', async () => {
      const asked: string[] = []
      const { server } = await serve(listen, undefined, {
        answer: async (path) => {
          asked.push(path)
          if (path === '/text') return { status: 200, contentType: 'text/plain; charset=utf-8', body: 'Ä' }
          if (path === '/bad') return { status: 503, contentType: 'application/json', body: '{}' }
          return undefined
        },
      })
      const ask = (path: string, options = {}) => fetch(`http://127.0.0.1:${server.port}${path}`, options)
      const good = await ask('/text?query=1')
      expect([good.status, good.headers.get('content-type'), await good.text()]).toEqual([
        200,
        'text/plain; charset=utf-8',
        'Ä',
      ])
      const bad = await ask('/bad')
      expect([bad.status, bad.headers.get('retry-after')]).toEqual([503, '1'])
      expect((await ask('/else', { method: 'POST', body: text(100_000) })).status).toBe(404)
      expect(asked).toEqual(['/text', '/bad', '/else'])
    })

    test('answers 500 without details when an answer fails', async () => {
      const { server } = await serve(listen, undefined, { answer: () => Promise.reject(new Error('secret')) })
      const response = await fetch(`http://127.0.0.1:${server.port}/`)
      expect(response.status).toBe(500)
      expect(await response.text()).not.toContain('secret')
    })

    test('is not harmed by a client that goes away while its question is answered', async () => {
      const asked = Promise.withResolvers<void>()
      const {
        server,
        connect: begin,
        open,
      } = await serve(listen, undefined, {
        answer: async () => {
          asked.resolve()
          await sleep(100)
          return { status: 200, contentType: 'text/plain', body: 'late' }
        },
      })
      const raw = begin()
      raw.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
      await asked.promise
      raw.end()
      await raw.closed()
      await sleep(200)
      await open()
      expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(200)
    })

    test('has its port alone', async () => {
      const { server } = await serve(listen)
      await expect(serve(listen, undefined, { port: server.port })).rejects.toThrow(/^PORT: .* can't be listened on$/)
    })

    test('that stopped listening takes nobody, and keeps the open connections', async () => {
      const { server, open } = await serve(listen, (connection) => ({ onMessage: () => connection.send('{}') }))
      const client = await open()
      server.stopListening()
      server.stopListening()
      await expect(open()).rejects.toThrow('ECONNREFUSED')
      client.send('x')
      await eventually(() => client.texts.length === 1)
    })

    test('that closes ends everything, and can be closed again', async () => {
      const { server, closes, url, open, connect: begin } = await serve(listen)
      const [client, waiting] = [await open(), begin()]
      waiting.write('GET / HTTP/1.1\r\n')
      await sleep(50)
      server.close()
      server.close()
      expect(await client.closed()).toBe(1006)
      await waiting.closed()
      await eventually(() => closes.length === 1)
      await expect(TestSocket.open(url)).rejects.toThrow('ECONNREFUSED')
    })
  })
}

/** How many sockets at this port of ours a process holds. */
function heldAt(port: number): number {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const sockets = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
  // 0A listens; one without inode is the kernel's alone.
  return sockets.filter(([, local, , state, , , , , , inode]) => local === address && state !== '0A' && inode !== '0')
    .length
}
