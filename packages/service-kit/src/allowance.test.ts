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

test('an allowance says how much is left, and when there is more', () => {
  const allowance = new Allowance(4, 2)
  for (let taken = 0; taken < 4; taken++) allowance.take(1_000)
  expect([allowance.left(1_000), allowance.left(1_250)]).toEqual([0, 0.5])
  expect([allowance.secondsUntil(1, 1_250), allowance.secondsUntil(4, 1_250)]).toEqual([0.25, 1.75])
  expect(allowance.secondsUntil(1, 9_000)).toBe(0)
})
