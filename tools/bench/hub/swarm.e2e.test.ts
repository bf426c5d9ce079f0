import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { buildNative } from './native.ts'
import { startSwarm, type SwarmPlan } from './swarm.ts'

const text = 1
const ping = 9
const pong = 10

const frame = (opcode: number, payload: string, isLast = true): Buffer => {
  const body = Buffer.from(payload)
  const head = Buffer.alloc(body.length < 126 ? 2 : 4)
  head[0] = (isLast ? 0x80 : 0) | opcode
  head[1] = Math.min(body.length, 126)
  if (head.length === 4) head.writeUInt16BE(body.length, 2)
  return Buffer.concat([head, body])
}
const update = (vehicle: string, timestamp: number) =>
  `{"update_type":"position","vehicle_id":"${vehicle}","lat":1,"long":2,"timestamp":${timestamp}}`
const updates = (...of: string[]) => `{"updates":[${of.join()}]}`

const accept =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

let program = ''
const cleanup: (() => void)[] = []
beforeAll(async () => {
  program = (await buildNative()).swarm
})
afterEach(() => cleanup.splice(0).forEach((undo) => undo()))

/** A server that says `words` to whoever shook hands, and keeps what it hears. */
async function serve(words: (socket: Socket) => void) {
  const heard: Buffer[] = []
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(accept)
      socket.on('data', (data: Buffer) => heard.push(data))
      words(socket)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.push(() => server.close())
  return { port: (server.address() as { port: number }).port, heard }
}

async function start(port: number, plan: Partial<SwarmPlan> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-swarm-'))
  const swarm = await startSwarm({ program, dir, port, path: '/ws', clients: 1, ...plan })
  cleanup.push(
    () => swarm[Symbol.dispose](),
    () => rmSync(dir, { recursive: true }),
  )
  return swarm
}

type Swarm = Awaited<ReturnType<typeof start>>

/** Counts until so many messages came. */
async function countTo(swarm: Swarm, messages: number) {
  const sum = { messages: 0, updates: 0, snapshotUpdates: 0, errors: 0, closed: 0 }
  for (const deadline = Date.now() + 5_000; sum.messages < messages && Date.now() < deadline; await sleep(5)) {
    const counts = await swarm.count()
    for (const name of ['messages', 'updates', 'snapshotUpdates', 'errors'] as const) sum[name] += counts[name]
    sum.closed = counts.closed
  }
  return sum
}

test('updates are counted, those of snapshots apart, and errors told from both', async () => {
  const { port } = await serve((socket) => {
    socket.write(frame(text, updates(update('a', 1), update('b', 2))))
    socket.write(frame(text, `{"type":"snapshot","id":"x","updates":[${update('c', 3)}]}`))
    socket.write(frame(text, '{"type":"error","code":"bad_message"}'))
  })
  const counts = await countTo(await start(port), 3)
  expect(counts).toEqual({ messages: 3, updates: 2, snapshotUpdates: 1, errors: 1, closed: 0 })
})

test('a message is read the same however it is cut into frames, with pings between them, and frames into packets', async () => {
  const message = updates(update('a', 1), update('b', 2))
  const cuts = fc.array(fc.nat({ max: message.length }), { maxLength: 4 })
  const property = fc.asyncProperty(cuts, fc.integer({ min: 1, max: 97 }), async (places, packet) => {
    const edges = [0, ...places.toSorted((a, b) => a - b), message.length]
    const frames = edges.slice(1).flatMap((end, index) => {
      const isLast = index === edges.length - 2
      return [frame(index === 0 ? text : 0, message.slice(edges[index], end), isLast), frame(ping, 'here')]
    })
    const bytes = Buffer.concat(frames)
    const { port, heard } = await serve(async (socket) => {
      socket.setNoDelay(true)
      for (let at = 0; at < bytes.length; at += packet) {
        socket.write(bytes.subarray(at, at + packet))
        await sleep(1)
      }
    })
    using swarm = await start(port)
    expect(await countTo(swarm, 1)).toMatchObject({ messages: 1, updates: 2, closed: 0 })
    const pongs = Buffer.concat(Array.from({ length: edges.length - 1 }, () => maskedWithZeros(pong, 'here')))
    await expect.poll(() => Buffer.concat(heard)).toEqual(pongs)
  })
  await fc.assert(property, { numRuns: 12 })
})

const maskedWithZeros = (opcode: number, payload: string) =>
  Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)])

test('bytes that no server may send cut one connection and end nothing', async () => {
  const property = fc.asyncProperty(fc.uint8Array({ minLength: 2, maxLength: 600 }), async (bytes) => {
    const { port } = await serve((socket) => socket.end(bytes))
    using swarm = await start(port, { clients: 3 })
    await expect.poll(async () => (await swarm.count()).open, { timeout: 5_000 }).toBe(0)
  })
  await fc.assert(property, {
    numRuns: 30,
    examples: [[Uint8Array.of(0x81, 0x7f, 255, 255, 255, 255, 255, 255, 255, 255)]],
  })
})

test('each client says its own first words at once, and its later ones in turn', async () => {
  const { port, heard } = await serve(() => {})
  const wordsOf = (client: number) => ({ first: [`hello ${client}`], later: [`one ${client}`, `two ${client}`] })
  await start(port, { clients: 2, wordsOf })
  const said = () => Buffer.concat(heard).toString('latin1')
  await expect.poll(said, { timeout: 5_000 }).toMatch(/two 1/)
  for (const words of ['hello 0', 'hello 1', 'one 0', 'one 1', 'two 0']) expect(said()).toContain(words)
})

test('a storm waits until each client has seen each vehicle, an expectation for what is as new', async () => {
  const sockets = new Set<Socket>()
  const { port } = await serve((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.write(frame(text, updates(update('a', 1))))
    setTimeout(() => socket.write(frame(text, updates(update('b', 1)))), 100)
  })
  const swarm = await start(port, { clients: 20, picture: 2 })
  const storm = await swarm.storm()
  expect(storm).toMatchObject({ of: 20, count: 20, lost: 0 })
  expect(storm.p50Ms).toBeGreaterThan(90)
  await swarm.expect(10)
  for (const socket of sockets) socket.write(frame(text, updates(update('a', 10), update('b', 9), update('b', 10))))
  expect(await swarm.picture()).toMatchObject({ of: 20, count: 20 })
})

test('stalled clients read nothing, and are current with the first update from after they read again', async () => {
  const sockets: Socket[] = []
  const { port } = await serve((socket) => sockets.push(socket))
  const swarm = await start(port, { clients: 10 })
  swarm.stall(4)
  await swarm.count()
  const say = (timestamp: number) =>
    sockets.forEach((socket) => socket.write(frame(text, updates(update('a', timestamp)))))
  say(Date.now())
  expect((await countTo(swarm, 6)).messages).toBe(6)
  await swarm.read()
  expect((await countTo(swarm, 4)).messages).toBe(4)
  say(Date.now() + 1)
  expect(await swarm.current()).toMatchObject({ of: 4, count: 4, lost: 0 })
})
