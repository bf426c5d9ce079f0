import { decimalNumber } from '@flasktoria/contracts/labelled-value'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { plainDecimal } from './decimal.ts'

const read = (text: string) => plainDecimal(text, 0, text.length)

test.each([
  ['0', 0],
  ['-0', -0],
  ['12.30', 12.3],
  ['7.', 7],
  ['-179.999999', -179.999999],
  ['123456789012345', 123_456_789_012_345],
])('%s', (text, value) => {
  expect(read(text)).toBe(value)
})

test.each(['', '-', '.', '-.5', '+1', '1e3', '1..2', ' 1', '1 ', '0x1', 'NaN', '1234567890123456', '١'])(
  'for %j someone slower is asked',
  (text) => {
    expect(read(text)).toBeNaN()
  },
)

test('what it reads is the very number that the text is', () => {
  const digits = fc.string({ unit: fc.constantFrom(...Array.from('0123456789.-')) })
  const numbers = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(String)
  fc.assert(
    fc.property(fc.oneof(digits, numbers), fc.nat(3), (text, before) => {
      const value = plainDecimal('9'.repeat(before) + text, before, before + text.length)
      expect(Number.isNaN(value) || Object.is(value, decimalNumber(text))).toBe(true)
    }),
    { numRuns: 20_000 },
  )
})
