import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { SchemaComponents } from './json-schema.ts'
import { instantSchema, integerSchema, listSchema } from './rest-v1.ts'

const read = (text: string) => instantSchema.safeParse(text).data

test('a moment is read as epoch milliseconds or as RFC 3339, to the millisecond', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
      (date) => {
        expect(read(String(date.getTime()))).toBe(date.getTime())
        expect(read(date.toISOString())).toBe(date.getTime())
      },
    ),
  )
  expect(read('2026-02-28T23:00:00-05:00')).toBe(Date.UTC(2026, 2, 1, 4))
  expect(read('2024-02-29t00:00:00.123456z')).toBe(Date.UTC(2024, 1, 29, 0, 0, 0, 123))
})

test.for([
  '',
  '-1',
  '1e3',
  '1.5',
  ' 1',
  '9999999999999999',
  '999999999999999',
  '2026-02-28',
  '2026-02-28T00:00:00',
  '2026-02-28 00:00:00Z',
  '2026-02-30T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-01-00T00:00:00Z',
  '2026-01-01T24:00:01Z',
  '2026-01-01T00:00:00+99:00',
  '1969-12-31T23:59:59Z',
])('%j is no moment', (text) => {
  expect(read(text)).toBe(undefined)
})

test('a whole number is written in digits, and within its bounds', () => {
  const schema = integerSchema(4, 20)
  expect(['4', '007', '20'].map((text) => schema.safeParse(text).data)).toEqual([4, 7, 20])
  for (const text of ['', '3', '21', '1e1', '0x5', ' 5', '+5', '5.0', '9'.repeat(400)])
    expect(schema.safeParse(text).success, text).toBe(false)
  expect(new SchemaComponents().schemaOf(schema)).toEqual({ type: 'integer', minimum: 4, maximum: 20 })
})

test('a list holds each item once, in its order, and not too many', () => {
  const schema = listSchema(z.string().min(1), 3)
  expect(schema.parse('b,a,b')).toEqual(['b', 'a'])
  for (const text of ['', ',', 'a,', 'a,b,c,d']) expect(schema.safeParse(text).success, text).toBe(false)
})
