import { array, assert, asyncProperty, integer, option, record, uint8Array } from 'fast-check'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { BatchBuilder, sendBatchesWhole } from './kafka-batch-builder.ts'

// What kafkajs reads out of it is what went in; that its checksum is right is seen by a real broker (simulate.kafka.test.ts).
const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder.js')
const Encoder = require('kafkajs/src/protocol/encoder.js')
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js')

const bytes = uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all))
const given = record({ key: option(bytes), value: bytes, stamp: integer({ min: -1, max: 4e12 }) })

test('kafkajs reads the records that were put into it', async () => {
  await assert(
    asyncProperty(array(given, { minLength: 1, maxLength: 300 }), async (records) => {
      const builder = new BatchBuilder()
      for (const { key, value, stamp } of records) builder.add(key, value, stamp)
      expect(builder.length).toBe(builder.finish().bytes.length)
      const set = new Encoder().writeInt32(builder.length).writeBuffer(builder.finish().bytes).buffer
      const read: { offset: string; key: Buffer; value: Buffer; timestamp: string }[] = await decodeMessages(
        new Decoder(set),
      )
      expect(read.map(({ key, value, timestamp }) => ({ key, value, stamp: Number(timestamp) }))).toEqual(records)
      expect(read.map(({ offset }) => Number(offset))).toEqual(records.map((_, index) => index))
    }),
    { numRuns: 200 },
  )
})

test('kafkajs sends it as it is, and other messages as ever', async () => {
  sendBatchesWhole()
  const produce = require('kafkajs/src/protocol/requests/produce/v3/request.js')
  const builder = new BatchBuilder()
  builder.add(null, Buffer.from('one of many'), 1_000)
  const batch = builder.finish()
  const encode = async (value: unknown): Promise<Buffer> => {
    const topicData = [{ topic: 't', partitions: [{ partition: 0, messages: [{ value }] }] }]
    const { buffer } = await produce({ acks: -1, timeout: 0, topicData }).encode()
    return buffer
  }
  expect((await encode(batch)).includes(batch.bytes)).toBe(true)
  expect((await encode(Buffer.from('plain'))).includes('plain')).toBe(true)
})
