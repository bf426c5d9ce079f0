import { closeCodes } from '@flasktoria/contracts/close-codes'
import { streamLimits, subprotocol } from '@flasktoria/contracts/stream'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { anomaly, fleet, position } from './test-hub.ts'
import { startHub } from './test-service.ts'
import { frameOf, handshakeText, opcodes, RawSocket, type FrameShape } from './test-socket-raw.ts'
import { eventually } from './test-socket.ts'

let cleanup = new AsyncDisposableStack()
afterEach(async () => {
  await cleanup.disposeAsync()
  cleanup = new AsyncDisposableStack()
})

/** What a client with good manners may have to wait while others have none: all of them run in this process, beside other tests. */
const patienceMs = 5_000

/** A hub under attack, with a client that only wants to see what happens. */
async function besiege(transport: string, environment: Record<string, string> = {}) {
  const service = await startHub({ TRANSPORT: transport, ...environment })
  const { hub, log, get, v2 } = service
  const witness = await v2()
  witness.send({ type: 'subscribe', id: 'watch', vehicles: ['witness'] })
  await witness.next('snapshot')

  const sentAt: number[] = []
  const waits: number[] = []
  const pulse = setInterval(() => {
    sentAt.push(performance.now())
    void log.append([anomaly('witness', String(sentAt.length - 1))])
  }, 50)
  const seen = () => witness.updates.filter((update) => update.update_type === 'anomaly')
  witness.socket.on('message', () => {
    const now = performance.now()
    while (waits.length < seen().length) waits.push(now - sentAt[waits.length]!)
  })
  cleanup.defer(() => clearInterval(pulse))

  const adopt = (raw: RawSocket) => cleanup.adopt(raw, (it) => it.end())
  return {
    ...service,
    raw: async (headers: Record<string, string> = { 'Sec-WebSocket-Protocol': subprotocol }) =>
      adopt(await RawSocket.open(hub.port, headers)),
    /** The value of one series, `errors_total{code="abuse"}`; 0 while there is none. */
    count: async (series: string): Promise<number> => {
      const [name, label = ''] = series.split(/[{}]/)
      const text = await (await get('/metrics')).text()
      const line = text.split('\n').find((it) => it.startsWith(`flasktoria_stream_${name}{`) && it.includes(label))
      return Number(line?.split(' ').at(-1) ?? 0)
    },
    /** What the witness has to complain of: all that happened has to come to it, in order, each once, and in good time. */
    disturbance: async (): Promise<string | undefined> => {
      clearInterval(pulse)
      await eventually(() => seen().length >= sentAt.length)
      if (witness.closeCode !== undefined) return `it was closed with ${witness.closeCode}`
      if (seen().some((update, index) => !('desc' in update) || update.desc !== String(index))) return 'a mess'
      const longest = Math.max(...waits)
      return longest > patienceMs ? `it waited ${Math.round(longest)} ms` : undefined
    },
  }
}

const textsOf = (raw: RawSocket) =>
  raw.frames
    .filter(({ opcode }) => opcode === opcodes.text)
    .map(({ payload }) => JSON.parse(payload.toString()) as { type: string; code?: string; id?: string })
const say = (raw: RawSocket, message: unknown) => raw.write(frameOf(JSON.stringify(message)))
const times = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index))

describe.each(['uws', 'ws'])('the hub, served by %s, goes on undisturbed', (transport) => {
  test.each([
    ['a little too long', streamLimits.messageBytes + 1, closeCodes.protocolError],
    ['far too long', 8 * streamLimits.messageBytes, 1006],
  ])('while messages come that are %s', async (_, length, code) => {
    const { raw, count, disturbance } = await besiege(transport)
    const attackers = await Promise.all(times(20, () => raw()))
    for (const attacker of attackers) attacker.write(frameOf('x'.repeat(length)))
    for (const attacker of attackers) await attacker.closed()
    expect(await count(`closes_total{code="${code}"}`)).toBe(20)
    expect(await disturbance()).toBeUndefined()
  })

  test('while messages come in a thousand fragments, and are understood', async () => {
    const { raw, disturbance } = await besiege(transport)
    const attacker = await raw()
    const text = JSON.stringify({ type: 'ping', nonce: 'n' }).padEnd(1_000)
    const last = text.length - 1
    for (const [at, letter] of text.split('').entries())
      attacker.write(frameOf(letter, { opcode: at === 0 ? opcodes.text : opcodes.continuation, isLast: at === last }))
    await eventually(() => textsOf(attacker).some(({ type }) => type === 'pong'))
    expect(await disturbance()).toBeUndefined()
  })

  test('while a message never ends', async () => {
    const { raw, disturbance } = await besiege(transport)
    const attacker = await raw()
    attacker.write(frameOf('{', { isLast: false }))
    const part = frameOf('x'.repeat(1_000), { opcode: opcodes.continuation, isLast: false })
    for (let parts = 0; parts < 1_000 && !attacker.isClosed; parts++) {
      attacker.write(part)
      await sleep(1)
    }
    await attacker.closed()
    expect(await disturbance()).toBeUndefined()
  })

  test('while binary messages come, until they are too many', async () => {
    const { raw, count, disturbance } = await besiege(transport)
    const attacker = await raw()
    for (let sent = 0; sent < 30; sent++) attacker.write(frameOf(Uint8Array.of(sent, 255), { opcode: opcodes.binary }))
    await attacker.closed()
    expect(attacker.closeCode).toBe(closeCodes.abuse)
    expect(textsOf(attacker).filter(({ code }) => code === 'bad_message')).toHaveLength(20)
    expect(await count('errors_total{code="bad_message"}')).toBe(21)
    expect(await disturbance()).toBeUndefined()
  })

  test.each<[string, string | Buffer, FrameShape]>([
    ['text that is no UTF-8', Buffer.from([0xff, 0xfe]), {}],
    ['a reserved bit', 'x', { rsv: 4 }],
    ['a reserved opcode', 'x', { opcode: 5 }],
    ['no mask', 'x'.repeat(500), { isMasked: false }],
    ['a length of terabytes', 'x', { claimedLength: 2 ** 45 }],
  ])('while frames come with %s', async (_, payload, shape) => {
    const { raw, count, disturbance } = await besiege(transport)
    const attackers = await Promise.all(times(20, () => raw()))
    for (const attacker of attackers) attacker.write(Buffer.concat(times(3, () => frameOf(payload, shape))))
    for (const attacker of attackers) await attacker.closed()
    await eventually(async () => (await count('closes_total{code="1006"}')) === 20)
    expect(await disturbance()).toBeUndefined()
  })

  test('while somebody asks for thousands of subscriptions', async () => {
    const { raw, count, disturbance } = await besiege(transport)
    const attacker = await raw()
    attacker.write(
      Buffer.concat(
        times(3_000, (id) => frameOf(JSON.stringify({ type: 'subscribe', id: String(id), bbox: [0, 0, 1, 1] }))),
      ),
    )
    await attacker.closed()
    expect(attacker.closeCode).toBe(closeCodes.abuse)
    expect(textsOf(attacker).filter(({ type }) => type === 'ack')).toHaveLength(streamLimits.subscriptions)
    expect(await count('errors_total{code="too_many_subscriptions"}')).toBe(21)
    expect(await count('subscriptions')).toBe(1)
    expect(await disturbance()).toBeUndefined()
  })

  test('while subscriptions bring a megabyte of vehicles', async () => {
    const { raw, count, disturbance } = await besiege(transport, { MAX_VEHICLES: '3000' })
    const [patient, greedy] = [await raw(), await raw()]
    const vehicles = (letter: string) => times(1_900, (index) => `${letter}${index}`.padEnd(28, letter))
    for (const id of ['a', 'b', 'c', 'd']) say(patient, { type: 'subscribe', id, vehicles: vehicles(id) })
    say(greedy, { type: 'subscribe', id: 'all', vehicles: times(8_000, (index) => String(index).padEnd(128, 'x')) })
    await greedy.closed()
    await eventually(() => textsOf(patient).filter(({ type }) => type === 'error').length === 3)
    expect(textsOf(patient).filter(({ type }) => type === 'ack')).toMatchObject([{ id: 'a' }])
    expect(await count('errors_total{code="too_many_subscriptions"}')).toBe(3)
    expect(await disturbance()).toBeUndefined()
  })

  test.each<[string, (index: number) => unknown]>([
    ['updates', (index) => ({ type: 'update', id: 'all', bbox: [-10, -10, 10 + (index % 7), 10] })],
    ['pings', (index) => ({ type: 'ping', nonce: String(index) })],
    ['questions for its numbers', () => ({ type: 'stats' })],
    ['mutes', (index) => ({ type: 'mute', kind: 'position', vehicle: `truck-${index}` })],
    ['subscriptions that it takes back', (index) => ({ type: index % 2 ? 'unsubscribe' : 'subscribe', id: 'again' })],
  ])('while somebody floods it with %s', async (_, make) => {
    const { log, raw, count, disturbance } = await besiege(transport)
    await log.append(fleet(5_000, 1))
    const attackers = await Promise.all(times(5, () => raw()))
    for (const attacker of attackers) {
      say(attacker, { type: 'subscribe', id: 'all', bbox: [-10, -10, 10, 10] })
      attacker.write(Buffer.concat(times(2_000, (index) => frameOf(JSON.stringify(make(index))))))
    }
    for (const attacker of attackers) {
      await attacker.closed()
      expect(attacker.closeCode).toBe(closeCodes.abuse)
    }
    expect(await count('errors_total{code="too_many_messages"}')).toBe(5 * 21)
    expect(await count(`closes_total{code="${closeCodes.abuse}"}`)).toBe(5)
    expect(await disturbance()).toBeUndefined()
  })

  test('while somebody moves its box over the whole fleet as often as it may', async () => {
    const { log, raw, disturbance } = await besiege(transport)
    await log.append(fleet(20_000, 1))
    const attacker = await raw()
    say(attacker, { type: 'subscribe', id: 'all', bbox: [-10, -10, 20, 20] })
    const begunAt = Date.now()
    for (let turn = 0; Date.now() - begunAt < 3_000; turn++) {
      say(attacker, { type: 'update', id: 'all', bbox: turn % 2 ? [-10, -10, 20, 20] : [100, 0, 101, 1] })
      await sleep(25)
    }
    expect(attacker.isClosed).toBe(false)
    expect(await disturbance()).toBeUndefined()
  })

  test('while somebody floods it with pings of the protocol, reading or not', async () => {
    const { raw, disturbance } = await besiege(transport)
    const [reader, deaf] = [await raw(), await raw()]
    deaf.stall()
    const pings = Buffer.concat(times(1_000, () => frameOf('x'.repeat(125), { opcode: opcodes.ping })))
    for (let turn = 0; turn < 50; turn++) {
      reader.write(pings)
      deaf.write(pings)
      await sleep(2)
    }
    say(reader, { type: 'ping' })
    await eventually(() => reader.isClosed || textsOf(reader).some(({ type }) => type === 'pong'))
    expect(await disturbance()).toBeUndefined()
  })

  test('while somebody asks and never reads, and is sent away', async () => {
    const { log, raw, count, disturbance } = await besiege(transport, { SLOW_AFTER_MS: '1000' })
    const attackers = await Promise.all(times(5, () => raw()))
    for (const attacker of attackers) {
      attacker.stall()
      say(attacker, { type: 'subscribe', id: 'all' })
    }
    for (let lat = 1; lat <= 15; lat++) {
      await log.append(fleet(5_000, lat))
      await sleep(30)
    }
    await eventually(async () => (await count(`closes_total{code="${closeCodes.tooSlow}"}`)) === 5)
    for (const attacker of attackers) attacker.goOn()
    for (const attacker of attackers) await attacker.closed()
    expect(attackers.map(({ closeCode }) => closeCode)).toEqual(times(5, () => closeCodes.tooSlow))
    expect(await disturbance()).toBeUndefined()
  })

  test('while connections are half-open: they are given up', { timeout: 30_000 }, async () => {
    const { raw, count, disturbance } = await besiege(transport, {
      PING_INTERVAL_MS: '1000',
      IDLE_TIMEOUT_MS: '3000',
    })
    // They answer no ping.
    const dead = await Promise.all(times(20, () => raw()))
    await expect.poll(() => dead.every(({ isClosed }) => isClosed), { timeout: 15_000 }).toBe(true)
    expect(await count(`closes_total{code="${closeCodes.tooSlow}"}`)).toBe(20)
    expect(await disturbance()).toBeUndefined()
  })

  test('while handshakes are begun by hundreds, and never ended', { timeout: 30_000 }, async () => {
    const { hub, raw, disturbance } = await besiege(transport)
    const begun = times(500, () => cleanup.adopt(new RawSocket(hub.port), (it) => it.end()))
    for (const one of begun) one.write(handshakeText().slice(0, -4))
    await raw()
    await expect.poll(() => begun.every(({ isClosed }) => isClosed), { timeout: 20_000, interval: 100 }).toBe(true)
    expect(await disturbance()).toBeUndefined()
  })

  test('while connections come and go by hundreds', async () => {
    const { hub, count, disturbance } = await besiege(transport)
    await Promise.all(
      times(400, async (index) => {
        await sleep(index)
        const socket = connect(hub.port, '127.0.0.1').on('error', () => {})
        socket.write(handshakeText('/', { 'Sec-WebSocket-Protocol': subprotocol }))
        await sleep(index % 20)
        if (index % 3) socket.resetAndDestroy()
        else socket.end(frameOf(Buffer.from([0x0f, index % 256]), { opcode: opcodes.close }))
      }),
    )
    await eventually(async () => (await count('sessions{protocol="v2"}')) === 1)
    expect(await disturbance()).toBeUndefined()
  })

  test('while pages of other origins try to come in, and each is counted', async () => {
    const { raw, count, disturbance } = await besiege(transport, { ALLOWED_ORIGINS: 'https://fleet.example' })
    const strangers = await Promise.all(times(50, (index) => raw({ Origin: `https://evil-${index}.example` })))
    expect(strangers.map(({ status }) => status)).toEqual(times(50, () => 403))
    expect((await raw({ Origin: 'https://fleet.example' })).status).toBe(101)
    expect(await count('refused_upgrades_total{reason="origin"}')).toBe(50)
    expect(await disturbance()).toBeUndefined()
  })

  test('while more connections come than it takes', async () => {
    const { raw, count, disturbance } = await besiege(transport, { MAX_CONNECTIONS: '10' })
    const crowd = await Promise.all(times(60, () => raw()))
    expect(crowd.filter(({ status }) => status === 101)).toHaveLength(9)
    expect(await count('refused_upgrades_total{reason="full"}')).toBe(51)
    expect(await disturbance()).toBeUndefined()
  })

  test('while a client has muted as much as it can', async () => {
    const { log, mutes, plain, disturbance } = await besiege(transport)
    const vehicle = (index: number) => `${index}-`.padEnd(128, 'x')
    const rules = times(4_000, (index) => ({
      kind: 'position' as const,
      vehicle: vehicle(index),
      sensor: '',
      isMuted: true,
    }))
    await mutes.change('client-that-mutes', rules)
    const client = await plain('/?client=client-that-mutes')
    await log.append([position(vehicle(0), 1), position('seen', 2)])
    await eventually(() => client.updates.some(({ vehicle_id }) => vehicle_id === 'seen'))
    expect(client.updates.map(({ vehicle_id }) => vehicle_id)).not.toContain(vehicle(0))
    expect(await disturbance()).toBeUndefined()
  })

  test('while clients close with codes of their own; they make no series each', async () => {
    const { raw, count, get, disturbance } = await besiege(transport)
    const clients = await Promise.all(times(50, () => raw()))
    for (const [index, client] of clients.entries()) {
      const code = 4_100 + index
      client.write(frameOf(Buffer.from([code >> 8, code & 255]), { opcode: opcodes.close }))
      await client.closed()
    }
    await eventually(async () => (await count('closes_total{code="other"}')) === 50)
    expect(await (await get('/metrics')).text()).not.toContain('code="41')
    expect(await disturbance()).toBeUndefined()
  })
})
