import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { plainLogin, readSaslAnswer } from './hs2-sasl.ts'

const frame = (code: number, payload = '') => Buffer.from([code, 0, 0, 0, payload.length, ...Buffer.from(payload)])

it('a login names the mechanism, then name and password', () => {
  expect(plainLogin('ada', 'pä').toString('hex')).toBe(
    Buffer.concat([frame(1, 'PLAIN'), Buffer.from([2, 0, 0, 0, 8]), Buffer.from('\0ada\0pä')]).toString('hex'),
  )
  expect(() => plainLogin('a\0b', '')).toThrow(RangeError)
})

it.each([
  ['complete', frame(5), { outcome: 'complete' }],
  ['complete after a step', Buffer.concat([frame(2, 'go on'), frame(5)]), { outcome: 'complete' }],
  ['nothing yet', Buffer.alloc(0), { outcome: 'incomplete' }],
  ['half a frame', frame(5).subarray(0, 3), { outcome: 'incomplete' }],
  ['a refusal', frame(3, 'no such user'), { outcome: 'refused', reason: 'no such user' }],
  ['half a refusal', frame(3, 'no such user').subarray(0, 9), { outcome: 'incomplete' }],
  ['another protocol', Buffer.from('HTTP/1.1 400'), { outcome: 'refused', reason: 'the server does not speak SASL' }],
])('the answer may be %s', (_, bytes, answer) => expect(readSaslAnswer(bytes)).toEqual(answer))

it('no answer throws', () => {
  const outcomes = ['complete', 'incomplete', 'refused']
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(outcomes).toContain(readSaslAnswer(Buffer.from(bytes)).outcome)
    }),
  )
})
