import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatResumeCursor, noState, parseResumeCursor } from './resume-cursor.ts'

test('a cursor comes back as it was given', () => {
  const cursor = fc
    .record({
      epoch: fc.stringMatching(/^[0-9a-z]{1,32}$/),
      seq: fc.nat(Number.MAX_SAFE_INTEGER),
      lack: fc.oneof(fc.constant(0), fc.constant(Infinity), fc.nat(Number.MAX_SAFE_INTEGER)),
      reach: fc.nat(Number.MAX_SAFE_INTEGER),
    })
    .map(({ epoch, seq, lack, reach }) => ({
      epoch,
      seq,
      stateTo: Math.max(noState, seq - lack),
      reach: Math.max(seq, reach),
    }))
  fc.assert(
    fc.property(cursor, (one) => {
      expect(parseResumeCursor(formatResumeCursor(one))).toEqual(one)
    }),
  )
})

test('any other text is no cursor, and no harm', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const cursor = parseResumeCursor(text)
      expect(cursor === undefined || formatResumeCursor(cursor).length <= text.length).toBe(true)
    }),
  )
  for (const text of [
    '',
    '.',
    '~',
    'e.~',
    'e~',
    'e.1~~',
    'e.1~1',
    'e.2~-1',
    'e.2~01',
    'e.2+2',
    'e.2+',
    'e.2+3~1',
    'e.2+3+4',
    'e.2~1~1',
    'E.1',
    'e.-1',
    'e.1.1',
  ])
    expect(parseResumeCursor(text), text).toBeUndefined()
})
