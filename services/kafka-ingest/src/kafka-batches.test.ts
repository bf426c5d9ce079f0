import {
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  nat,
  option,
  property,
  record,
  string,
  uint8Array,
} from 'fast-check'
import { CompressionTypes } from 'kafkajs'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { decodeMessages, FetchedBatch, recordsOf, withWholeBatches } from './kafka-batches.ts'
import type { RawRecord } from './record-source.ts'

// The bytes are those that kafkajs itself writes, and what it reads out of them is what has to come out here.
const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder.js')
const Encoder = require('kafkajs/src/protocol/encoder.js')
const Long = require('kafkajs/src/utils/long.js')
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0/index.js')
const { RecordBatch: encodeBatch } = require('kafkajs/src/protocol/recordBatch/v0/index.js')
const decodeByKafkajs = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js')

type Given = {
  key: Uint8Array | null
  value: Uint8Array | null
  headers: Record<string, Uint8Array | Uint8Array[]>
  delta: number
}
type Batch = { firstOffset: number; firstStamp: number; compression: number; records: Given[]; transactional?: boolean }

async function bytesOf({ firstOffset, firstStamp, compression, records, transactional }: Batch): Promise<Buffer> {
  const buffered = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes)
  const batch = await encodeBatch({
    firstOffset: Long.fromValue(firstOffset),
    firstTimestamp: firstStamp,
    maxTimestamp: firstStamp + Math.max(0, ...records.map(({ delta }) => delta)),
    lastOffsetDelta: records.length - 1,
    compression,
    transactional,
    records: records.map(({ key, value, headers, delta }, index) =>
      encodeRecord({
        offsetDelta: index,
        timestampDelta: Long.fromValue(delta),
        key: buffered(key),
        value: buffered(value),
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, one]) => [
            name,
            Array.isArray(one) ? one.map((each) => Buffer.from(each)) : Buffer.from(one),
          ]),
        ),
      }),
    ),
  })
  return batch.buffer
}

/** As they stand in the answer to a fetch. */
const decoderOf = (batches: Buffer) => new Decoder(new Encoder().writeInt32(batches.length).writeBuffer(batches).buffer)
const topic = 'vehicles'
const read = (messages: unknown[], from = 0): RawRecord[] =>
  recordsOf({ topic, partition: 3, messages: messages as never }, sensorProfile, from)
const plain = ({ offset, timestamp, value, attached }: RawRecord) => ({ offset, timestamp, value, attached })

const bytes = uint8Array({ maxLength: 200 })
const headerName = string({ minLength: 1, maxLength: 5 })
const given = record({
  key: option(bytes),
  value: option(bytes),
  headers: array(record({ name: headerName, value: bytes }), { maxLength: 3 }).map((all) =>
    Object.fromEntries(all.map(({ name, value }) => [name, value])),
  ),
  delta: integer({ min: -1e6, max: 1e6 }),
})
const batch = record({
  firstOffset: nat(),
  firstStamp: integer({ min: 0, max: 2e12 }),
  compression: constantFrom(CompressionTypes.None, CompressionTypes.GZIP),
  records: array(given, { minLength: 1, maxLength: 20 }),
})

test('the records are those that kafkajs would have read', async () => {
  await assert(
    asyncProperty(array(batch, { minLength: 1, maxLength: 3 }), async (batches) => {
      const all = Buffer.concat(await Promise.all(batches.map(bytesOf)))
      const messages = await decodeMessages(decoderOf(all))
      expect(messages.every((message) => message instanceof FetchedBatch)).toBe(true)
      expect(messages).toHaveLength(batches.length)
      expect(read(messages).map(plain)).toEqual(read(await decodeByKafkajs(decoderOf(all))).map(plain))
    }),
    { numRuns: 200 },
  )
})

const reading = (value: string, delta = 0): Given => ({ key: null, value: Buffer.from(value), headers: {}, delta })
const three = {
  firstOffset: 7,
  firstStamp: 1_000,
  compression: CompressionTypes.None,
  records: ['a', 'b', 'c'].map((text) => reading(text)),
}

test('what was asked for begins inside of a batch', async () => {
  const messages = await decodeMessages(decoderOf(await bytesOf(three)))
  expect(read(messages, 8).map(({ offset, value }) => [offset, String(value)])).toEqual([
    [8, 'b'],
    [9, 'c'],
  ])
  expect(messages).toMatchObject([{ offset: '9' }])
})

test('a header that comes twice has both values, and whatever it is called', async () => {
  const headers = Object.fromEntries([
    ['__proto__', Buffer.from('x')],
    ['twice', [Buffer.from('1'), Buffer.from('2')]],
  ])
  const [only] = read(
    await decodeMessages(decoderOf(await bytesOf({ ...three, records: [{ ...reading('a'), headers }] }))),
  )
  expect(Object.entries(only!.attached!.headers)).toEqual([
    ['__proto__', Buffer.from('x')],
    ['twice', [Buffer.from('1'), Buffer.from('2')]],
  ])
})

test('a producer may stamp its records with any time', async () => {
  const first = Buffer.from(await bytesOf({ ...three, records: [reading('a'), reading('b', 5)] }))
  first.writeBigInt64BE(-(2n ** 63n), 27)
  expect(read(await decodeMessages(decoderOf(first))).map(({ timestamp }) => timestamp)).toEqual([
    -(2 ** 63),
    -(2 ** 63) + 5,
  ])
})

test('a broker that stamps the records itself stamps a batch', async () => {
  const stamped = Buffer.from(await bytesOf({ ...three, records: [reading('a'), reading('b', 5)] }))
  stamped.writeInt16BE(8, 21)
  expect(read(await decodeMessages(decoderOf(stamped))).map(({ timestamp }) => timestamp)).toEqual([1_005, 1_005])
})

test('which records of transactions are seen is left to kafkajs', async () => {
  const messages = await decodeMessages(decoderOf(await bytesOf({ ...three, transactional: true })))
  expect(messages.map((message) => message instanceof FetchedBatch)).toEqual([false, false, false])
  expect(read(messages).map(({ offset }) => offset)).toEqual([7, 8, 9])
})

describe('bytes that are not what they should be', () => {
  test('a batch that the end of the fetch cuts off is left for the next one', async () => {
    const [whole, next] = [await bytesOf(three), await bytesOf({ ...three, firstOffset: 10 })]
    for (let cut = 0; cut < next.length; cut++) {
      const messages = await decodeMessages(decoderOf(Buffer.concat([whole, next.subarray(0, cut)])))
      expect(read(messages).map(({ offset }) => offset)).toEqual([7, 8, 9])
    }
  })

  test('none makes it read beyond them, or for ever', async () => {
    const whole = await bytesOf({
      ...three,
      records: [{ ...reading('a'), key: Buffer.from('k'), headers: { h: Buffer.from('v') } }],
    })
    const batches: Promise<unknown[]>[] = []
    assert(
      property(nat(whole.length - 17), nat(255), nat(whole.length - 17), nat(255), (at, byte, secondAt, second) => {
        const broken = Buffer.from(whole)
        broken[16 + at] = byte
        broken[16 + secondAt] = second
        broken[16] = 2
        batches.push(decodeMessages(decoderOf(broken)))
      }),
      { numRuns: 20_000 },
    )
    let [refused, seen] = [0, 0]
    for (const result of await Promise.allSettled(batches))
      try {
        if (result.status === 'rejected') throw result.reason
        for (const { value, attached } of read(result.value))
          seen += (value?.length ?? 0) + (attached!.key?.length ?? 0)
      } catch {
        refused++
      }
    expect(seen).toBeLessThan(20_000 * whole.length)
    expect(refused).toBeGreaterThan(1_000)
  })

  test('a batch that is shorter than its header is refused', async () => {
    const short = Buffer.from(await bytesOf(three))
    short.writeInt32BE(10, 8)
    await expect(decodeMessages(decoderOf(short))).rejects.toThrow('shorter than its own header')
  })
})

test.each([4, 5, 7, 8, 11])(
  'kafkajs decodes version %i of a fetch by it, for those who asked for it',
  async (version) => {
    const batches = await bytesOf(three)
    const isOfSession = version >= 7
    const answer = new Encoder().writeInt32(0)
    if (isOfSession) answer.writeInt16(0).writeInt32(0)
    answer.writeInt32(1).writeString(topic).writeInt32(1)
    const [partition, error, end, stable, start] = [3, 0, Long.fromValue(10), Long.fromValue(10), Long.fromValue(0)]
    answer.writeInt32(partition).writeInt16(error).writeInt64(end).writeInt64(stable)
    if (version >= 5) answer.writeInt64(start)
    answer.writeInt32(0)
    if (version >= 11) answer.writeInt32(-1)
    answer.writeInt32(batches.length).writeBuffer(batches)
    const { decode } = require(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`)
    const messagesOf = async (): Promise<unknown[]> => (await decode(answer.buffer)).responses[0].partitions[0].messages
    const whole = await withWholeBatches(messagesOf)
    expect(whole).toMatchObject([{ offset: '9' }])
    expect(whole[0]).toBeInstanceOf(FetchedBatch)
    expect(await messagesOf()).toMatchObject([{ offset: '7' }, { offset: '8' }, { offset: '9' }])
  },
)
