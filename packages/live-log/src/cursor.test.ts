import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCursor, parseCursor } from './cursor.ts'

test('a cursor comes out as it went in', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-z]{1,32}$/), fc.maxSafeInteger().map(Math.abs), (epoch, seq) => {
      expect(parseCursor(formatCursor({ epoch, seq }))).toEqual({ epoch, seq })
    }),
  )
})

test('whatever a client sends instead is no cursor', () => {
  for (const text of [
    '',
    '.',
    'e',
    'e.',
    '.1',
    'e.-1',
    'e.1.2',
    'E.1',
    'e.zzzzzzzzzzzz',
    `${'e'.repeat(33)}.1`,
    'e. 1',
  ])
    expect(parseCursor(text)).toBeUndefined()
  fc.assert(fc.property(fc.string(), (text) => void parseCursor(text)))
})
