import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readWait } from './request-deadline.ts'

test.for([
  [undefined, undefined],
  ['', undefined],
  ['wait=5', 5],
  ['wait="5"', 5],
  ['Wait = 5', 5],
  ['respond-async, wait=10', 10],
  ['wait=10;exact, respond-async', 10],
  ['wait=3, wait=9', 3],
  ['return=minimal; wait=7', undefined],
  ['await=7', undefined],
  ['wait', undefined],
  ['wait=0', undefined],
  ['wait=-1', undefined],
  ['wait=1.5', undefined],
  ['wait=5s', undefined],
  ['wait=9999999999', undefined],
] as const)('Prefer %j waits for %j seconds', ([prefer, seconds]) => {
  expect(readWait(prefer)).toBe(seconds)
})

test('any header is read without harm', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (header) => {
      expect(readWait(header) ?? 1).toBeGreaterThan(0)
    }),
  )
})
