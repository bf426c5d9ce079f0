// kafkajs makes a dozen objects of each record, most of which nobody looks at, and all of them live until the log took the
// record. So here one "message" of kafkajs is a whole batch as it lies in its bytes, and a record is made when it is read.
import kafkajs, { type KafkaMessage } from 'kafkajs'
import { AsyncLocalStorage } from 'node:async_hooks'
import { createRequire } from 'node:module'
import { magicByte, place } from './kafka-batch-layout.ts'
import type { Codec } from './kafka-codecs.ts'
import { Cursor } from './decode-cursor.ts'
import { malformed } from './decode.ts'
import type { HeaderValue, RawRecord } from './record-source.ts'
import type { Decoded, TopicProfile } from './topic-profile.ts'

/** That of kafkajs. */
type Decoder = {
  buffer: Buffer
  offset: number
  canReadBytes: (length: number) => boolean
  readInt32: () => number
  readBytes: (length: number) => Buffer
}
type DecodeMessages = (decoder: Decoder) => Promise<unknown[]>

const { CompressionCodecs } = kafkajs
const require = createRequire(import.meta.url)
const messagesModule = require.resolve('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js')
const decodeByKafkajs = require(messagesModule) as DecodeMessages
const KafkajsDecoder = require('kafkajs/src/protocol/decoder.js') as new (buffer: Buffer) => Decoder
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder.js') as (
  decoder: Decoder,
) => Promise<{ records: KafkaMessage[] }>

const flags = { compression: 0x07, appendTime: 0x08, transactional: 0x10, control: 0x20 }

/** Records as the producer sent them together. kafkajs takes it for the last of them. */
export class FetchedBatch {
  readonly offset: string
  readonly isControlRecord = false
  readonly key = null
  readonly batchContext = { producerId: '', inTransaction: false }
  readonly #firstOffset: number
  readonly #firstStamp: number
  /** Of all records, where the broker stamps them. */
  readonly #stamp: number | undefined
  readonly #count: number
  readonly #records: Buffer

  constructor(header: Buffer, records: Buffer) {
    const isStampedByBroker = (header.readInt16BE(place.attributes) & flags.appendTime) !== 0
    this.#firstOffset = Number(header.readBigInt64BE(place.firstOffset))
    this.offset = String(this.#firstOffset + header.readInt32BE(place.lastDelta))
    this.#firstStamp = Number(header.readBigInt64BE(place.firstStamp))
    this.#stamp = isStampedByBroker ? Number(header.readBigInt64BE(place.maxStamp)) : undefined
    this.#count = header.readInt32BE(place.count)
    this.#records = records
  }

  /** Adds its records from an offset on. @throws when its bytes are no records */
  read(topic: string, profile: TopicProfile, partition: number, from: number, records: RawRecord[]): void {
    const bytes = this.#records
    const cursor = new Cursor()
    cursor.begin(bytes, 0, bytes.length, [])
    for (let number = 0; number < this.#count; number++) {
      const length = cursor.long()
      const end = cursor.at + length
      cursor.skip(1)
      const delta = stampDelta(cursor)
      const offset = this.#firstOffset + cursor.long()
      const keyAt = cursor.at
      skipBytes(cursor)
      const valueLength = cursor.long()
      const valueAt = cursor.at
      if (valueLength < -1 || valueAt + Math.max(0, valueLength) > end) throw malformed
      cursor.skip(end - valueAt)
      if (offset < from) continue
      const timestamp = this.#stamp ?? this.#firstStamp + delta
      records.push(new KafkaRecord(topic, profile, partition, offset, timestamp, bytes, keyAt, valueAt, valueLength))
    }
  }
}

class KafkaRecord implements RawRecord {
  readonly topic: string
  readonly profile: TopicProfile
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly #bytes: Buffer
  readonly #keyAt: number
  readonly #valueAt: number
  /** -1: a tombstone. */
  readonly #valueLength: number

  constructor(
    topic: string,
    profile: TopicProfile,
    partition: number,
    offset: number,
    timestamp: number,
    bytes: Buffer,
    keyAt: number,
    valueAt: number,
    valueLength: number,
  ) {
    this.topic = topic
    this.profile = profile
    this.partition = partition
    this.offset = offset
    this.timestamp = timestamp
    this.#bytes = bytes
    this.#keyAt = keyAt
    this.#valueAt = valueAt
    this.#valueLength = valueLength
  }

  get value(): Buffer | null {
    return this.#valueLength < 0 ? null : this.#bytes.subarray(this.#valueAt, this.#valueAt + this.#valueLength)
  }

  decode(): Decoded {
    if (this.#valueLength < 0) return this.profile.read(null)
    return this.profile.read(this.#bytes, this.#valueAt, this.#valueAt + this.#valueLength)
  }

  get attached(): NonNullable<RawRecord['attached']> {
    const cursor = new Cursor()
    cursor.begin(this.#bytes, this.#keyAt, this.#bytes.length, [])
    const key = takeBytes(cursor)
    cursor.begin(this.#bytes, this.#valueAt + Math.max(0, this.#valueLength), this.#bytes.length, [])
    const headers = new Map<string, HeaderValue>()
    for (let count = cursor.long(); count > 0; count--) {
      const name = cursor.text(cursor.long())
      const value = takeBytes(cursor) ?? Buffer.alloc(0)
      const before = headers.get(name)
      headers.set(name, before === undefined ? value : [before, value].flat())
    }
    return { key, headers: Object.fromEntries(headers) }
  }
}

/** Producers stamp their records with anything: what a double cannot hold exactly is no reason to stop. */
function stampDelta(cursor: Cursor): number {
  let coded = 0
  for (let scale = 1, count = 0; count < 10; scale *= 128, count++) {
    const byte = cursor.byte()
    coded += (byte & 0x7f) * scale
    if (byte < 0x80) return coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2
  }
  throw malformed
}

/** A length of -1 says that there is nothing. */
const skipBytes = (cursor: Cursor): void => cursor.skip(Math.max(0, cursor.long()))

function takeBytes(cursor: Cursor): Buffer | null {
  const length = cursor.long()
  if (length < 0) return null
  const from = cursor.at
  cursor.skip(length)
  return cursor.bytes.subarray(from, cursor.at)
}

/** What a partition sent, in place of the function of kafkajs. */
export async function decodeMessages(decoder: Decoder): Promise<unknown[]> {
  // The message sets of brokers that are older than the batches.
  if (decoder.buffer[decoder.offset + 4 + place.magic] !== magicByte) return decodeByKafkajs(decoder)
  const length = decoder.readInt32()
  if (!decoder.canReadBytes(length)) return []
  const bytes = decoder.readBytes(length)
  const messages: unknown[] = []
  for (let at = 0; at + place.records <= bytes.length;) {
    const end = at + place.counted + bytes.readInt32BE(at + place.length)
    if (end < at + place.records) throw new Error('Kafka sent a batch of records that is shorter than its own header')
    // Cut off, for a fetch has an end: it comes whole with the next one.
    if (end > bytes.length) break
    // oxlint-disable-next-line no-await-in-loop -- in order
    messages.push(...(await messagesOf(bytes.subarray(at, end))))
    at = end
  }
  return messages
}

async function messagesOf(batch: Buffer): Promise<unknown[]> {
  const attributes = batch.readInt16BE(place.attributes)
  // Which transactions were aborted is seen record by record.
  if ((attributes & (flags.transactional | flags.control)) !== 0)
    return (await decodeBatch(new KafkajsDecoder(batch))).records
  const codec = (CompressionCodecs as Record<number, () => Codec>)[attributes & flags.compression]
  const records = batch.subarray(place.records)
  return [new FetchedBatch(batch, codec ? await codec().decompress(records) : records)]
}

const isWhole = new AsyncLocalStorage<boolean>()
// kafkajs looks up how to decode them when it first fetches.
require.cache[messagesModule]!.exports = (decoder: Decoder) =>
  isWhole.getStore() ? decodeMessages(decoder) : decodeByKafkajs(decoder)

/** A consumer that runs in it gets its batches whole; others of the process do not notice. */
export const withWholeBatches = <T>(run: () => T): T => isWhole.run(true, run)

type Fetched = { topic: string; partition: number; messages: readonly KafkaMessage[] }

/** The records that a fetch brought, from the offset on that was asked for. @throws when its bytes are no records */
export function recordsOf({ topic, partition, messages }: Fetched, profile: TopicProfile, from: number): RawRecord[] {
  const records: RawRecord[] = []
  for (const message of messages as readonly (KafkaMessage | FetchedBatch)[])
    if (message instanceof FetchedBatch) message.read(topic, profile, partition, from, records)
    else records.push(recordOf(topic, profile, partition, message))
  return records
}

const recordOf = (topic: string, profile: TopicProfile, partition: number, message: KafkaMessage): RawRecord => ({
  topic,
  profile,
  partition,
  offset: Number(message.offset),
  timestamp: Number(message.timestamp),
  value: message.value,
  attached: { key: message.key, headers: message.headers ?? {} },
})
