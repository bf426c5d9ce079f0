import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decimalNumber, textAfterLabel } from './labelled-value.ts'

test('the value is what follows the first colon and space, whatever the label is', () => {
  expect(textAfterLabel('Vehicle Speed: 12.3')).toBe('12.3')
  expect(textAfterLabel('a:b: c: d')).toBe('c: d')
  expect(textAfterLabel(': ')).toBe('')
  expect(textAfterLabel('12:3')).toBeUndefined()
})

test('any finite number comes back exactly', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(decimalNumber(String(value))).toBe(Number(String(value)))
    }),
  )
  expect(decimalNumber(' 12.50 ')).toBe(12.5)
})

test.each(['0x10', 'Infinity', 'NaN', '1e999', '', ' ', '1,5', '1_000', '12 km/h', '0b1', '1d'])(
  '%j is no number',
  (text) => {
    expect(decimalNumber(text)).toBeUndefined()
  },
)

test('no text makes the parser throw or stall', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      decimalNumber(textAfterLabel(text) ?? text)
    }),
  )
  expect(decimalNumber(`${'1'.repeat(200_000)}x`)).toBeUndefined()
})
