import { expect, test } from 'vitest'
import { closingLine, hasFailed, type Tally } from './tally.ts'

const skip = { title: 'a replay', reason: 'RECORDINGS_DIR is not set' }
const tally = (passed: number, failed: number, skips: number): Tally => ({
  passed,
  failed,
  skipped: Array.from({ length: skips }, () => skip),
})

test('skipped tests are named only where there are some', () => {
  expect(closingLine(tally(12, 0, 0), false)).toBe('12 passed, 0 failed')
  expect(closingLine(tally(12, 1, 2), false)).toBe('12 passed, 1 failed, 2 skipped')
})

test('a strict run takes a skipped test for a failed one', () => {
  expect(closingLine(tally(12, 1, 2), true)).toBe('12 passed, 3 failed')
  expect(hasFailed(tally(12, 0, 2), true)).toBe(true)
  expect(hasFailed(tally(12, 0, 2), false)).toBe(false)
  expect(hasFailed(tally(12, 0, 0), true)).toBe(false)
})
