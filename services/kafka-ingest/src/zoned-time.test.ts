import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { zonedTime } from './zoned-time.ts'

const utc = zonedTime('UTC')
const vienna = zonedTime('Europe/Vienna')

test('UTC is what it says', () => {
  expect(utc('2026-11-24 10:20:30')).toBe(Date.UTC(2026, 10, 24, 10, 20, 30))
})

test.each([
  '',
  '2026-11-24',
  '2026-11-24T10:20:30',
  '2026-11-24 10:20:30Z',
  '2026-13-01 00:00:00',
  '2026-02-30 00:00:00',
  '2026-02-01 24:00:00',
  '2026-02-01 10:60:00',
  ' 2026-02-01 10:00:00',
  '０２６-02-01 10:00:00',
])('%j is no time', (text) => {
  expect(utc(text)).toBeUndefined()
  expect(vienna(text)).toBeUndefined()
})

describe('where the clock jumps', () => {
  test('an hour that it shows twice is the first one', () => {
    expect(vienna('2026-10-25 01:59:59')).toBe(Date.UTC(2026, 9, 24, 23, 59, 59))
    expect(vienna('2026-10-25 02:30:00')).toBe(Date.UTC(2026, 9, 25, 0, 30))
    expect(vienna('2026-10-25 03:00:00')).toBe(Date.UTC(2026, 9, 25, 2))
  })

  test('an hour that it skips counts on from before', () => {
    expect(vienna('2026-03-29 01:59:59')).toBe(Date.UTC(2026, 2, 29, 0, 59, 59))
    expect(vienna('2026-03-29 02:30:00')).toBe(Date.UTC(2026, 2, 29, 1, 30))
    expect(vienna('2026-03-29 03:00:00')).toBe(Date.UTC(2026, 2, 29, 1))
  })
})

test('zones with odd offsets', () => {
  expect(zonedTime('Asia/Kathmandu')('2026-01-01 05:45:00')).toBe(Date.UTC(2026, 0, 1))
  expect(zonedTime('America/St_Johns')('2026-01-01 00:00:00')).toBe(Date.UTC(2026, 0, 1, 3, 30))
})

test('what a clock of the zone shows is read back as the same instant, or its twin an hour before', () => {
  const zone = 'America/New_York'
  const parse = zonedTime(zone)
  const clock = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
  fc.assert(
    fc.property(fc.integer({ min: 946_684_800, max: 2_000_000_000 }), (seconds) => {
      const instant = seconds * 1_000
      expect([instant, instant - 3_600_000]).toContain(parse(clock.format(instant)))
    }),
  )
})

test('there is no such zone', () => {
  expect(() => zonedTime('Mars/Olympus')).toThrow(RangeError)
})
