import { expect, test } from 'vitest'
import { PlausibleFixes } from './plausible-fixes.ts'

const at = (second: number, long: number) => ({ timestamp: second * 1_000, lat: 47, long })
function plausible(...longs: number[]) {
  const fixes = new PlausibleFixes()
  const taken = longs.flatMap((long, second) => fixes.take(at(second, long)))
  fixes.end()
  return { seconds: taken.map(({ timestamp }) => timestamp / 1_000), leftOut: fixes.leftOut }
}

test('a fix on another continent is left out, and counted', () => {
  expect(plausible(9, 120, 9, 9.001)).toEqual({ seconds: [0, 2, 3], leftOut: 1 })
  expect(plausible(9, 120)).toEqual({ seconds: [0], leftOut: 1 })
  expect(plausible(9, 120, -60, 9)).toEqual({ seconds: [0, 3], leftOut: 2 })
})

test('a vehicle that was shipped, or whose first fix was wrong, is there with its second one', () => {
  expect(plausible(9, 120, 120, 120)).toEqual({ seconds: [0, 1, 2, 3], leftOut: 0 })
})
