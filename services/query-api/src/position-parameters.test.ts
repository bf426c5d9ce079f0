import { expect, test } from 'vitest'
import { formatKeyset } from './keyset-cursor.ts'
import { continued, refuseLongPeriod, refuseLongScan, vehicleBehind } from './position-parameters.ts'

const hour = 3_600_000

test('a period goes on at its cursor, which has to lie within it', () => {
  expect(continued({ from: 5, to: 9 }, undefined)).toEqual({ from: 5, to: 9 })
  expect(continued({ from: 5, to: 9 }, formatKeyset([7]))).toEqual({ from: 7, to: 9 })
  for (const key of [[4], [10], ['7'], [7, 8], []])
    expect(() => continued({ from: 5, to: 9 }, formatKeyset(key))).toThrow(/cursor/)
})

test('a cursor holds an id, whatever it is, and nothing else', () => {
  expect(vehicleBehind(formatKeyset(["' OR 1=1 --"]))).toBe("' OR 1=1 --")
  for (const key of [[''], ['a\0'], [1], ['a', 'b']]) expect(() => vehicleBehind(formatKeyset(key))).toThrow(/cursor/)
})

test('a period beyond the longest one is refused; of one vehicle only where tables are looked up by time', () => {
  const period = { from: 0, to: 25 * hour }
  expect(() => refuseLongPeriod(period, 25 * hour, 'from')).not.toThrow()
  expect(() => refuseLongPeriod(period, 24 * hour, 'from')).toThrow('At most 24 hours')
  expect(() => refuseLongScan(period, { isByTimeOnly: true }, 24 * hour)).toThrow('At most 24 hours')
  expect(() => refuseLongScan(period, { isByTimeOnly: false }, 24 * hour)).not.toThrow()
  expect(() => refuseLongScan(period, undefined, 24 * hour)).not.toThrow()
})
