import { expect, test } from 'vitest'
import { judgeClock, span } from './clock.ts'

test('a clock is as wrong as it is for certain', () => {
  expect(judgeClock(1_000_900, 1_000_000, 0)).toMatchObject({ status: 'ok' })
  expect(judgeClock(1_005_000, 1_000_000, 4_500)).toMatchObject({ status: 'ok' })
  expect(judgeClock(1_005_000, 1_000_000, 500)).toMatchObject({
    status: 'warning',
    says: 'its clock is 5.0 s ahead of ours',
  })
  expect(judgeClock(0, 7_200_000, 500)).toMatchObject({ status: 'wrong', says: 'its clock is 2 h behind ours' })
})

test('spans are said in the unit that fits', () => {
  expect([1_500, -90_000, 7_200_000, 432_000_000].map(span)).toEqual(['1.5 s', '2 min', '2 h', '5 days'])
})
