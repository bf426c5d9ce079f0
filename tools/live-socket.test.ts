import { closeCodes } from '@flasktoria/contracts/close-codes'
import { LiveSocket } from '@flasktoria/client/live-socket'
import { clientMessageSchema, type Bbox, type ClientMessage, type ServerMessage } from '@flasktoria/contracts/stream'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocketServer, type WebSocket as Connection } from 'ws'

/** A hub that says what the test wants, so that every moment can be chosen. */
async function startHub() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const heard: ClientMessage[][] = []
  let connection: Connection | undefined
  server.on('connection', (socket) => {
    connection = socket
    const messages: ClientMessage[] = []
    heard.push(messages)
    socket.on('message', (data: Buffer) => messages.push(clientMessageSchema.parse(JSON.parse(data.toString()))))
  })
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('a TCP server has an address')
  return {
    url: `ws://127.0.0.1:${address.port}`,
    /** What clients said, by connection. */
    heard,
    /** Waits until so many messages came on the so-manieth connection. */
    hears: async (connectionNumber: number, count: number) => {
      await expect.poll(() => heard[connectionNumber - 1]?.length, soon).toBe(count)
      return heard[connectionNumber - 1]!
    },
    say: (...messages: (ServerMessage | { type: string })[]) => {
      for (const message of messages) connection!.send(JSON.stringify(message))
    },
    close: (code: number) => connection!.close(code),
    cut: () => connection!.terminate(),
  }
}
type TestHub = Awaited<ReturnType<typeof startHub>>

/** A client that notes all it hears. */
function open({ url }: TestHub) {
  const got: ServerMessage[] = []
  const states: string[] = []
  const note = (message: ServerMessage) => got.push(message)
  const types = ['hello', 'ack', 'snapshot', 'updates', 'leave', 'gap', 'feed', 'stats', 'error', 'bye'] as const
  const live = new LiveSocket({
    url,
    on: Object.fromEntries(types.map((type) => [type, note])),
    onState: (state) => states.push(state),
  })
  onTestFinished(() => live.close())
  return { live, got, states, hears: (message: ServerMessage) => expect.poll(() => got, soon).toContainEqual(message) }
}

const soon = { timeout: 5_000, interval: 10 }
const bbox: Bbox = [0, 0, 1, 1]
const elsewhere: Bbox = [5, 5, 6, 6]
const ack = (id: string): ServerMessage => ({ type: 'ack', id })
const part = (id: string, cursor: string, more: boolean): ServerMessage => ({
  type: 'snapshot',
  id,
  cursor,
  updates: [],
  part: 0,
  more,
  reason: 'subscribed',
})
const whole = (id: string, cursor: string) => part(id, cursor, false)
const updates = (cursor: string): ServerMessage => ({ type: 'updates', cursor, updates: [] })

test('every subscription resumes at the one cursor', async () => {
  const hub = await startHub()
  const { live, hears } = open(hub)
  live.subscribe('map', { bbox })
  live.subscribe('selected', { vehicles: ['v'] })
  await hub.hears(1, 2)
  hub.say(ack('map'), whole('map', 'c1'), ack('selected'), whole('selected', 'c2'), updates('c3'))
  await hears(updates('c3'))
  hub.cut()
  expect(await hub.hears(2, 2)).toEqual([
    { type: 'subscribe', id: 'map', bbox, cursor: 'c3' },
    { type: 'subscribe', id: 'selected', vehicles: ['v'], cursor: 'c3' },
  ])
})

test('a snapshot that broke off comes again whole; the other subscription resumes', async () => {
  const hub = await startHub()
  const { live, hears } = open(hub)
  live.subscribe('a', { positionsOnly: true })
  live.subscribe('b', { positionsOnly: true })
  await hub.hears(1, 2)
  hub.say(ack('a'), ack('b'), whole('a', 'c1'), part('b', 'c2', true), updates('c3'))
  await hears(updates('c3'))
  hub.cut()
  expect(await hub.hears(2, 2)).toEqual([
    { type: 'subscribe', id: 'a', positionsOnly: true, cursor: 'c3' },
    { type: 'subscribe', id: 'b', positionsOnly: true },
  ])
})

test('a box that moved after the last frame does not resume, and says that anomalies may be missing', async () => {
  const hub = await startHub()
  const { live, got, hears } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  hub.say(ack('map'), whole('map', 'c1'))
  await hears(whole('map', 'c1'))
  live.update('map', { bbox: elsewhere })
  await hub.hears(1, 2)
  hub.cut()
  expect(await hub.hears(2, 1)).toEqual([{ type: 'subscribe', id: 'map', bbox: elsewhere }])
  expect(got.at(-1)).toMatchObject({ type: 'gap', kind: 'anomaly', since: null })
})

test('a box that moved resumes once a frame came after it', async () => {
  const hub = await startHub()
  const { live, hears } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  hub.say(ack('map'), whole('map', 'c1'))
  await hears(whole('map', 'c1'))
  live.update('map', { bbox: elsewhere })
  await hub.hears(1, 2)
  hub.say(ack('map'), updates('c2'))
  await hears(updates('c2'))
  hub.cut()
  expect(await hub.hears(2, 1)).toEqual([{ type: 'subscribe', id: 'map', bbox: elsewhere, cursor: 'c2' }])
})

test('changes that the hub has not answered add up to one message', async () => {
  const hub = await startHub()
  const { live } = open(hub)
  live.subscribe('map', { bbox, maxRateHz: 20 })
  await hub.hears(1, 1)
  for (let step = 0; step < 90; step++) live.update('map', { bbox: [0, 0, step, step] })
  live.update('map', { maxRateHz: 2 })
  hub.say(ack('map'))
  expect((await hub.hears(1, 2)).at(-1)).toEqual({ type: 'update', id: 'map', bbox: [0, 0, 89, 89], maxRateHz: 2 })
  expect(live.subscriptions.get('map')?.wishes).toEqual({ bbox: [0, 0, 89, 89], maxRateHz: 2 })
})

test('a change that is refused does not hold up the next one', async () => {
  const hub = await startHub()
  const { live } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  live.update('map', { bbox: elsewhere })
  hub.say({ type: 'error', code: 'bad_message', message: 'no', id: 'map' })
  expect(await hub.hears(1, 2)).toContainEqual({ type: 'update', id: 'map', bbox: elsewhere })
})

test('a refusal that names nothing begins the session again', async () => {
  const hub = await startHub()
  const { live } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  hub.say({ type: 'error', code: 'too_many_messages', message: 'slower' })
  expect(await hub.hears(2, 1)).toEqual([{ type: 'subscribe', id: 'map', bbox }])
})

test('what was taken away does not come back', async () => {
  const hub = await startHub()
  const { live } = open(hub)
  live.subscribe('a', { bbox })
  live.subscribe('b', { bbox })
  live.unsubscribe('a')
  expect((await hub.hears(1, 1)).at(-1)).toEqual({ type: 'subscribe', id: 'b', bbox })
  live.unsubscribe('b')
  expect((await hub.hears(1, 2)).at(-1)).toEqual({ type: 'unsubscribe', id: 'b' })
  expect(() => live.update('b', { bbox })).toThrow('no subscription b')
})

test('messages of a newer hub are counted, and break nothing', async () => {
  const hub = await startHub()
  const { live, hears } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  hub.say({ type: 'forecast' }, { type: 'updates' }, updates('c1'))
  await hears(updates('c1'))
  expect(live.ignored).toBe(2)
  expect(hub.heard).toHaveLength(1)
})

test('after `bye` it comes back when it was told to', async () => {
  const hub = await startHub()
  const { live, hears } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  hub.say({ type: 'bye', reconnectAfterMs: 900 })
  await hears({ type: 'bye', reconnectAfterMs: 900 })
  hub.close(closeCodes.draining)
  const leftAt = performance.now()
  await hub.hears(2, 1)
  // Without it, the first time: 125 to 375 ms.
  expect(performance.now() - leftAt).toBeGreaterThan(850)
})

test('a close code that says not to come back is obeyed', async () => {
  const hub = await startHub()
  const { live, states } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  hub.close(closeCodes.abuse)
  await expect.poll(() => states.at(-1), soon).toBe('closed')
})

test('a hub that falls silent is asked, and left when it does not answer', { timeout: 15_000 }, async () => {
  const hub = await startHub()
  const { live } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  hub.say({ type: 'hello', epoch: 'e', cursor: 'c', heartbeatMs: 200, server: 'test' }, ack('map'))
  expect((await hub.hears(1, 2)).at(-1)).toEqual({ type: 'ping' })
  await expect.poll(() => hub.heard.length, { timeout: 10_000 }).toBe(2)
})

test('statistics are asked for by one message', async () => {
  const hub = await startHub()
  const { live } = open(hub)
  live.subscribe('map', { bbox })
  await hub.hears(1, 1)
  live.askStats()
  expect((await hub.hears(1, 2)).at(-1)).toEqual({ type: 'stats' })
})
