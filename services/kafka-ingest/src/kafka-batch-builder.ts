// kafkajs makes ten objects of each record that it writes, and a Buffer of 512 bytes for most of them. Whoever writes a hundred
// thousand a second makes batches instead, in Kafka's own bytes; one "message" of kafkajs is a whole batch then.
import { createRequire } from 'node:module'
import { magicByte, place } from './kafka-batch-layout.ts'

type Encoder = { writeBuffer: (bytes: Buffer) => Encoder }
type EncodeRecord = (message: { value: unknown }) => unknown
type Batches = { RecordBatch: (batch: { records: unknown[] }) => Promise<unknown> }

const require = createRequire(import.meta.url)
const recordModule = require.resolve('kafkajs/src/protocol/recordBatch/record/v0/index.js')
const encodeRecord = require(recordModule) as EncodeRecord
const batches = require('kafkajs/src/protocol/recordBatch/v0/index.js') as Batches
const encodeBatch = batches.RecordBatch
const KafkajsEncoder = require('kafkajs/src/protocol/encoder.js') as new () => Encoder
const crc32c = require('kafkajs/src/protocol/recordBatch/crc32C/index.js') as (bytes: Buffer) => number

const none = -1
/** Length, attributes, time, place, lengths of key and value, number of headers: no more. */
const maxOverhead = 5 + 1 + 10 + 5 + 5 + 5 + 1

/** Records for one partition, uncompressed, without headers; https://kafka.apache.org/documentation/#recordbatch */
export class BatchBuilder {
  count = 0
  #bytes = Buffer.allocUnsafe(16 * 1_024)
  #end = place.records
  #firstStamp = 0
  #maxStamp = 0

  /** Of the batch, if it ended here. */
  get length(): number {
    return this.#end
  }

  /** `stamp`: epoch ms. */
  add(key: Buffer | null, value: Buffer, stamp: number): void {
    if (this.count === 0) this.#firstStamp = this.#maxStamp = stamp
    this.#maxStamp = Math.max(this.#maxStamp, stamp)
    this.#reserve(maxOverhead + (key?.length ?? 0) + value.length)
    const delta = stamp - this.#firstStamp
    const keyLength = key ? key.length : none
    const length =
      2 +
      sizeOf(delta) +
      sizeOf(this.count) +
      sizeOf(keyLength) +
      Math.max(0, keyLength) +
      sizeOf(value.length) +
      value.length
    this.#write(length)
    this.#bytes[this.#end++] = 0
    this.#write(delta)
    this.#write(this.count)
    this.#write(keyLength)
    if (key) this.#end += key.copy(this.#bytes, this.#end)
    this.#write(value.length)
    this.#end += value.copy(this.#bytes, this.#end)
    this.#bytes[this.#end++] = 0
    this.count += 1
  }

  /** Nothing can be added any more. */
  finish(): WholeBatch {
    const bytes = this.#bytes.subarray(0, this.#end)
    bytes.fill(0, 0, place.records)
    bytes.writeInt32BE(bytes.length - place.counted, place.length)
    bytes[place.magic] = magicByte
    bytes.writeInt32BE(this.count - 1, place.lastDelta)
    bytes.writeBigInt64BE(BigInt(this.#firstStamp), place.firstStamp)
    bytes.writeBigInt64BE(BigInt(this.#maxStamp), place.maxStamp)
    // Neither transactional nor idempotent: no producer id, no epoch, no sequence.
    bytes.fill(0xff, place.producer, place.count)
    bytes.writeInt32BE(this.count, place.count)
    bytes.writeUInt32BE(crc32c(bytes.subarray(place.attributes)), place.crc)
    return new WholeBatch(bytes)
  }

  #reserve(length: number): void {
    if (this.#end + length <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + length))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }

  /** A varint, zigzag. */
  #write(number: number): void {
    let rest = zigzag(number)
    while (rest >= 0x80) {
      this.#bytes[this.#end++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#end++] = rest
  }
}

const zigzag = (number: number): number => (number < 0 ? -2 * number - 1 : 2 * number)

function sizeOf(number: number): number {
  let size = 1
  for (let rest = zigzag(number); rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}

/** What kafkajs takes for the value of a message: the only one for its partition in a request. */
export class WholeBatch {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

/** From now on kafkajs sends a `WholeBatch` as it is. It looks up how to write records when it first sends some. */
export function sendBatchesWhole(): void {
  require.cache[recordModule]!.exports = writeRecord
  batches.RecordBatch = writeBatch
}

const writeRecord: EncodeRecord = (message) =>
  message.value instanceof WholeBatch ? message.value : encodeRecord(message)

const writeBatch: Batches['RecordBatch'] = (batch) => {
  const [first] = batch.records
  return first instanceof WholeBatch
    ? Promise.resolve(new KafkajsEncoder().writeBuffer(first.bytes))
    : encodeBatch(batch)
}
