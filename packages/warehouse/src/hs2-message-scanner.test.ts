import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MessageScanner } from './hs2-message-scanner.ts'
import { MessageReceiver } from './hs2-receiver.ts'
import { thriftType as types } from './hs2-thrift-types.ts'
import * as wire from './hs2-wire.test-server.ts'

const maxBytes = 1024 * 1024

/** Values of any type, nested in any way. */
const { value: anyValue } = fc.letrec<{ value: wire.Encoded; leaf: wire.Encoded }>((tie) => ({
  leaf: fc.oneof(
    fc.boolean().map(wire.bool),
    fc.integer({ min: -128, max: 127 }).map(wire.byte),
    fc.integer({ min: -32_768, max: 32_767 }).map(wire.i16),
    fc.integer().map(wire.i32),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(wire.i64),
    fc.double().map(wire.double),
    fc.string({ unit: 'grapheme' }).map(wire.text),
    fc.array(fc.string()).map((texts) => wire.list(types.string, texts.map(wire.text))),
    fc.array(fc.integer()).map((numbers) => wire.list(types.i32, numbers.map(wire.i32))),
  ),
  value: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.dictionary(fc.integer({ min: 0, max: 99 }).map(String), tie('value'), { maxKeys: 4 }).map(wire.struct),
    fc.array(fc.array(tie('value'), { maxLength: 2 }), { maxLength: 3 }).map((structs) =>
      wire.list(
        types.struct,
        structs.map((fields) => wire.struct(Object.fromEntries(fields.entries()))),
      ),
    ),
    fc.array(fc.tuple(fc.string(), fc.integer()), { maxLength: 3 }).map((entries) =>
      wire.map(
        types.string,
        types.i32,
        entries.map(([key, number]) => [wire.text(key), wire.i32(number)] as const),
      ),
    ),
  ),
}))
const anyMessage = fc
  .tuple(fc.string({ maxLength: 20 }), fc.integer(), fc.array(anyValue, { maxLength: 4 }))
  .map(([name, seqId, fields]) =>
    wire.message(wire.messageType.reply, name, seqId, wire.struct(Object.fromEntries(fields.entries()))),
  )

function receive(chunks: readonly Buffer[], isFramed = false): string[] {
  const received: string[] = []
  const deliver = (message: Buffer) => received.push(message.toString('hex'))
  const receiver = new MessageReceiver({ isFramed, maxBytes, deliver })
  for (const chunk of chunks) receiver.push(chunk)
  return received
}

function thrownBy(run: () => void): Error | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return error as Error
  }
}

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length]!
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunks
}

describe('messages out of a stream of bytes', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 })

  it('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { minLength: 1, maxLength: 4 }), cuts, (messages, lengths) => {
        expect(receive(cut(Buffer.concat(messages), lengths))).toEqual(
          messages.map((message) => message.toString('hex')),
        )
      }),
    )
  })

  it('are the same however framed bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { minLength: 1, maxLength: 4 }), cuts, (messages, lengths) => {
        const framed = messages.flatMap((message) => [wire.i32(message.length).bytes, message])
        expect(receive(cut(Buffer.concat(framed), lengths), true)).toEqual(
          messages.map((message) => message.toString('hex')),
        )
      }),
    )
  })

  it('never run over, whatever the bytes are', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(anyMessage, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([message, at, value]) => {
        const broken = Buffer.from(message)
        broken[at % broken.length] = value
        return broken
      }),
    )
    fc.assert(
      fc.property(hostile, (bytes) => {
        const received: number[] = []
        const deliver = (message: Buffer) => received.push(message.length)
        const receiver = new MessageReceiver({ isFramed: false, maxBytes, deliver })
        const failure = thrownBy(() => receiver.push(Buffer.from(bytes)))
        expect([undefined, 'WarehouseError']).toContain(failure?.name)
        expect(received.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(bytes.length)
      }),
    )
  })
})

const scan = (bytes: Buffer) => new MessageScanner(maxBytes).scan(bytes, bytes.length)
const reply = (...fields: wire.Encoded[]) =>
  wire.message(wire.messageType.reply, 'x', 1, wire.struct(Object.fromEntries(fields.entries())))

describe('a scanner', () => {
  it('looks at each byte once: a message in many chunks costs no more than in one', () => {
    const texts = Array.from({ length: 5000 }, () => wire.text('some text'))
    const bytes = reply(wire.list(types.string, texts))
    const scanner = new MessageScanner(maxBytes)
    let reads = 0
    const counted = new Proxy(bytes, {
      get: (target, key) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads++
        const property: unknown = Reflect.get(target, key, target)
        return typeof property === 'function' ? property.bind(target) : property
      },
    })
    let end: number | undefined
    for (let length = 1; end === undefined; length += 7) end = scanner.scan(counted, Math.min(length, bytes.length))
    expect(end).toBe(bytes.length)
    expect(reads).toBeLessThan(bytes.length * 1.5)
  })

  it('says at once that a message will be too large', () => {
    const huge = { type: types.string, bytes: wire.i32(maxBytes + 1).bytes }
    expect(() => scan(reply(huge))).toThrow(expect.objectContaining({ kind: 'too_large' }))
    const wide = { type: types.list, bytes: Buffer.concat([Buffer.from([types.i64]), wire.i32(maxBytes / 4).bytes]) }
    expect(() => scan(reply(wide))).toThrow(expect.objectContaining({ kind: 'too_large' }))
  })

  it.each([
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a TLS alert', Buffer.from([0x15, 3, 3, 0, 2, 2, 0x28, 0])],
    ['a negative length', reply({ type: types.string, bytes: wire.i32(-1).bytes })],
    ['an unknown type', reply({ type: 9, bytes: Buffer.alloc(8) })],
    ['a bottomless nesting', reply({ type: types.list, bytes: Buffer.from('0f00000001'.repeat(100), 'hex') })],
  ])('refuses %s', (_, bytes) => {
    expect(() => scan(bytes)).toThrow(expect.objectContaining({ kind: 'unavailable' }))
  })
})
