import { expect, test } from 'vitest'
import { Allowance } from './allowance.ts'

test('an allowance gives a burst at once, and then what flows in', () => {
  const allowance = new Allowance(3, 2)
  expect([0, 0, 0, 0].map(() => allowance.take(1_000))).toEqual([true, true, true, false])
  expect([1_400, 1_500, 1_500, 60_000].map((at) => allowance.take(at))).toEqual([false, true, false, true])
  expect([0, 0, 0].map(() => allowance.take(60_000))).toEqual([true, true, false])
})

test('a clock that goes back adds nothing, and takes nothing away', () => {
  const allowance = new Allowance(1, 1)
  expect([5_000, 1_000, 5_500, 6_000].map((at) => allowance.take(at))).toEqual([true, false, false, true])
})
