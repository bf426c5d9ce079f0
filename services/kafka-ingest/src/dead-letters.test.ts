import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { createMemoryDeadLetters, deadLetter, deadLetterSchema, isWhole } from './dead-letters.ts'
import type { RawRecord } from './record-source.ts'

const record = (offset: number, value: Buffer | null = Buffer.from('x')): RawRecord => ({
  topic: 't',
  profile: sensorProfile,
  partition: 1,
  offset,
  value,
  timestamp: 0,
})

test('a letter says what came, from where, when and why', () => {
  expect(deadLetter(record(7), 'no_label', 1_000)).toEqual({
    reason: 'no_label',
    topic: 't',
    partition: 1,
    offset: 7,
    recordTime: '1970-01-01T00:00:00.000Z',
    refusedAt: '1970-01-01T00:00:01.000Z',
    bytes: 1,
    value: 'eA==',
    key: null,
    headers: [],
    isBare: false,
  })
})

test('a large value is cut, a tombstone has none, a senseless time is kept as a number', () => {
  const large = deadLetter(record(1, Buffer.alloc(20_000)), 'malformed', 0)
  expect(large).toMatchObject({ bytes: 20_000 })
  expect(Buffer.from(large.value!, 'base64')).toHaveLength(16_384)
  expect(deadLetter(record(1, null), 'tombstone', 0)).toMatchObject({ value: null, bytes: 0 })
  expect(deadLetter({ ...record(1), timestamp: 9e18 }, 'malformed', 0).recordTime).toBe('9000000000000000000')
})

test('the newest are kept, newest first', async () => {
  const letters = createMemoryDeadLetters(3)
  letters.put([1, 2, 3, 4, 5].map((offset) => deadLetter(record(offset), 'malformed', 0)))
  const offsets = async (limit: number) => (await letters.read(limit)).map(({ offset }) => offset)
  expect(await offsets(10)).toEqual([5, 4, 3])
  expect(await offsets(2)).toEqual([5, 4])
  letters.put([deadLetter(record(6), 'malformed', 0)])
  expect(await offsets(10)).toEqual([6, 5, 4])
})

test('key and headers are kept as they came, unless they are very large', () => {
  const attached = { key: Buffer.from([0, 255]), headers: { trace: ['a', Buffer.from('b')], empty: undefined } }
  const letter = deadLetter({ ...record(1), attached }, 'malformed', 0)
  expect(letter).toMatchObject({
    key: 'AP8=',
    headers: [
      ['trace', 'YQ=='],
      ['trace', 'Yg=='],
      ['empty', ''],
    ],
    isBare: false,
  })
  expect(isWhole(letter)).toBe(true)
  const heavy = { ...record(1), attached: { key: Buffer.alloc(5_000), headers: {} } }
  expect(deadLetter(heavy, 'malformed', 0)).toMatchObject({ key: null, isBare: true })
  expect(isWhole(deadLetter(heavy, 'malformed', 0))).toBe(false)
  expect(isWhole(deadLetter(record(1, Buffer.alloc(20_000)), 'oversized', 0))).toBe(false)
  expect(isWhole(deadLetter(record(1, null), 'tombstone', 0))).toBe(true)
})

test('a letter of an older version is still one', () => {
  const { key: _key, headers: _headers, isBare: _isBare, ...old } = deadLetter(record(1), 'malformed', 0)
  expect(deadLetterSchema.parse(old)).toMatchObject({ key: null, headers: [], isBare: false })
})
