import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Cursor } from './decode-cursor.ts'

const over = (bytes: Buffer): Cursor => {
  const cursor = new Cursor()
  cursor.begin(bytes, 0, bytes.length, [])
  return cursor
}

test('a text that comes again and again is what its bytes say, whoever took its place', { timeout: 60_000 }, () => {
  // Two bytes a text: most places are wanted by several.
  const texts = fc.array(fc.oneof(fc.string({ maxLength: 2 }), fc.string({ unit: 'binary', maxLength: 50 })), {
    minLength: 1_000,
    maxLength: 1_000,
  })
  const check = fc.property(texts, (all) => {
    const read = all.map((text) => over(Buffer.from(text)).recurringText(Buffer.byteLength(text)))
    expect(read).toEqual(all)
  })
  fc.assert(check, { numRuns: 20 })
})

test('the same bytes are the same text, and bytes that are no UTF-8 are not confused with any', () => {
  const broken = Buffer.from([0x76, 0xff])
  expect(over(broken).recurringText(2)).toBe('v\ufffd')
  expect(over(Buffer.from('v1')).recurringText(2)).toBe('v1')
  expect(over(broken).recurringText(2)).toBe('v\ufffd')
})

test.each([
  ['00', 0],
  ['01', -1],
  ['80a0abfef962', 1_700_000_000_000],
  ['feffffffffffff0f', 2 ** 52 - 1],
])('the varint %s is %d', (hex, value) => {
  expect(over(Buffer.from(hex, 'hex')).long()).toBe(value)
})

test.each(['', '80', 'ffffffffffffffff7f', 'feffffffffffffffffff01'])('the varint %s is malformed', (hex) => {
  expect(() => over(Buffer.from(hex, 'hex')).long()).toThrow('malformed')
})

test('nothing is read beyond the end, even if there are more bytes', () => {
  const cursor = new Cursor()
  cursor.begin(Buffer.from('abcdefgh'), 0, 3, [])
  expect(() => cursor.text(4)).toThrow('malformed')
  expect(() => cursor.double()).toThrow('malformed')
  expect(() => cursor.skip(-1)).toThrow('malformed')
  expect(cursor.text(3)).toBe('abc')
  expect(() => cursor.byte()).toThrow('malformed')
})
