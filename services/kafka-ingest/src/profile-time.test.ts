import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { textTime } from './profile-time.ts'

const vienna = textTime('Europe/Vienna')

test.each([
  ['2026-01-15 12:00:00', Date.UTC(2026, 0, 15, 11)],
  ['2026-07-15T12:00:00', Date.UTC(2026, 6, 15, 10)],
  ['2026-07-15T12:00:00.25', Date.UTC(2026, 6, 15, 10, 0, 0, 250)],
  ['2026-07-15T12:00:00,123456789', Date.UTC(2026, 6, 15, 10, 0, 0, 123)],
  ['2026-07-15T12:00:00Z', Date.UTC(2026, 6, 15, 12)],
  ['2026-07-15T12:00:00.001+02:00', Date.UTC(2026, 6, 15, 10, 0, 0, 1)],
  ['2026-07-15 12:00:00 -0330', Date.UTC(2026, 6, 15, 15, 30)],
])('%s', (text, ts) => {
  expect(vienna(text)).toBe(ts)
})

test.each([
  '',
  'yesterday',
  '2026-02-30 12:00:00',
  '2026-01-01 24:00:00',
  '2026-01-01',
  '1700000000000',
  '2026-01-01T12:00:00+99:99',
])('%s is no time', (text) => {
  expect(vienna(text)).toBeNaN()
})

test('what JavaScript writes as ISO 8601 is read back', () => {
  const dates = fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  const check = fc.property(dates, (date) => {
    expect(vienna(date.toISOString())).toBe(date.getTime())
  })
  fc.assert(check)
})
