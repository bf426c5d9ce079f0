import { timestampTextSchema } from '@flasktoria/contracts/rest'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readPeriod, readSensorIds } from './period.ts'

const now = 1_790_000_000_000
const fieldsOf = (start_ts: string, end_ts?: string) => {
  try {
    readPeriod({ start_ts, end_ts }, now)
    return undefined
  } catch (error) {
    return (error as { fields: string[] }).fields.join(',')
  }
}

test('integers of any length are compared as numbers, exactly', () => {
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 40n), 10n ** 40n), fc.bigInt(-(10n ** 40n), 10n ** 40n), (start, end) => {
      const expected = start >= end ? 'start_ts,end_ts' : start > now ? 'start_ts' : undefined
      expect(fieldsOf(String(start), String(end))).toBe(expected)
    }),
  )
})

test('a period never ends before it begins, never reaches into the future, and is made of safe integers', () => {
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 30n), BigInt(now)), fc.option(fc.bigInt(1n, 10n ** 30n)), (start, length) => {
      const end_ts = length === null ? undefined : String(start + length)
      const { from, to } = readPeriod({ start_ts: String(start), end_ts }, now)
      expect(Number.isSafeInteger(from) && Number.isSafeInteger(to)).toBe(true)
      expect(from).toBeLessThanOrEqual(to)
      expect(to).toBeLessThanOrEqual(now)
    }),
  )
})

test('a 20-digit end is the future, which is now; so is an absent one', () => {
  expect(readPeriod({ start_ts: '5', end_ts: '99999999999999999999' }, now)).toEqual({ from: 5, to: now })
  expect(readPeriod({ start_ts: '-5' }, now)).toEqual({ from: -5, to: now })
  expect(readPeriod({ start_ts: '007', end_ts: '0010' }, now)).toEqual({ from: 7, to: 10 })
})

test('ends that differ only far below every number are still apart', () => {
  expect(fieldsOf('-100000000000000000001', '-100000000000000000000')).toBe(undefined)
  expect(fieldsOf('-100000000000000000000', '-100000000000000000001')).toBe('start_ts,end_ts')
})

test('text is a timestamp exactly when it is an integer in digits', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const isInteger = /^-?[0-9]+$/.test(text) && !text.includes('\n')
      expect(timestampTextSchema.safeParse(text).success).toBe(isInteger)
    }),
  )
  for (const text of ['', ' 5', '5 ', '1e3', '1.5', '+5', '0x10', '٣', '--5', '5\n', 'NaN', 'Infinity'])
    expect(timestampTextSchema.safeParse(text).success, text).toBe(false)
})

test('sensor ids come once each, in their order, whatever they are', () => {
  const ids = fc.array(fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }), { minLength: 1, maxLength: 10 })
  fc.assert(
    fc.property(ids, (list) => {
      const clean = list.filter((id) => !/[,\p{Cc}]/u.test(id))
      fc.pre(clean.length > 0)
      expect(readSensorIds([...clean, ...clean].join(','), 10)).toEqual([...new Set(clean)])
    }),
  )
  expect(readSensorIds('__proto__,constructor,a,', 3)).toEqual(['__proto__', 'constructor', 'a'])
})

test('no sensor at all, too many, and control characters are refused', () => {
  for (const text of ['', ',', ',,,', 'a,b,c,d', 'a\u0000', 'x'.repeat(129)])
    expect(() => readSensorIds(text, 3), JSON.stringify(text)).toThrow(
      expect.objectContaining({ fields: ['sensor_ids'] }),
    )
})
