import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decimalNumber, parseLabelledValue, textAfterLabel } from './labelled-value.ts'

test('the value is what follows the first colon and space, whatever the label is', () => {
  expect(textAfterLabel('Vehicle Speed: 12.3')).toBe('12.3')
  expect(textAfterLabel('a:b: c: d')).toBe('c: d')
  expect(textAfterLabel(': ')).toBe('')
  expect(textAfterLabel('12:3')).toBeUndefined()
})

test('any finite number comes back exactly', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string(), (value, label) => {
      const text = String(value)
      const labelled = `${label.replaceAll(': ', '')}: ${text}`
      if (textAfterLabel(labelled) !== text) return
      expect(parseLabelledValue('pid_13_mode_1', labelled)).toEqual({ form: 'number', text, value: Number(text) })
    }),
  )
})

test.each(['0x10', 'Infinity', 'NaN', '1e999', '', ' ', '1,5', '1_000', '12 km/h', '0b1', '1d'])(
  '%j is words, not a number',
  (text) => {
    expect(decimalNumber(text)).toBeUndefined()
    expect(parseLabelledValue('pid_200_mode_1', `Gear: ${text}`)).toEqual({ form: 'words', text })
  },
)

test('a position is two numbers in brackets, inside the globe', () => {
  expect(parseLabelledValue('gps_coordinates', 'GPS: [30.472160, -97.801800]')).toEqual({
    form: 'position',
    text: '[30.472160, -97.801800]',
    lat: 30.47216,
    long: -97.8018,
  })
  expect(parseLabelledValue('gps_coordinates', 'GPS: [30.4,1555.6]')).toBe('position_out_of_range')
  expect(parseLabelledValue('gps_coordinates', 'GPS: [1e999,0]')).toBe('position_out_of_range')
  for (const text of ['30.4,-97.8', '[30.4]', '[30.4,-97.8,1]', '[a,b]', '[]', ''])
    expect(parseLabelledValue('gps_coordinates', `GPS: ${text}`)).toBe('not_a_position')
  expect(parseLabelledValue('gps_coordinates', '[1,2]')).toBe('no_label')
})

test('no text makes the parser throw or stall', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('gps_coordinates', 'x'), (text, sensor) => {
      parseLabelledValue(sensor, text)
      parseLabelledValue(sensor, `l: ${text}`)
    }),
  )
  const long = '1'.repeat(200_000)
  expect(decimalNumber(`${long}x`)).toBeUndefined()
  expect(parseLabelledValue('gps_coordinates', `g: [${long}`)).toBe('not_a_position')
})
