import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Positions } from './kafka-positions.ts'

const standing = (next: number) => {
  const positions = new Positions()
  positions.stand('p', next)
  return positions
}

test('what comes next is no jump; what comes later leaves a hole of that size', () => {
  expect(standing(10).take('p', 10)).toBe(0)
  expect(standing(10).take('p', 14)).toBe(4)
})

test('where nobody knows where we stood, nothing is said to be missing', () => {
  const positions = standing(10)
  positions.forget()
  expect(positions.take('p', 14)).toBe(0)
  expect(positions.look('p', 14, 14)).toBe(0)
})

test('a partition that lost everything behind us is seen at the second look, and once', () => {
  const positions = standing(10)
  expect([1, 2, 3, 4].map(() => positions.look('p', 14, 14))).toEqual([0, 4, 0, 0])
  expect(positions.take('p', 14)).toBe(0)
})

test('a look does not count what the next records will show', () => {
  const positions = standing(10)
  expect([1, 2].map(() => positions.look('p', 14, 20))).toEqual([0, 0])
  expect(positions.take('p', 14)).toBe(4)
})

test('what was in hand at the first look is not lost at the second', () => {
  const positions = standing(10)
  expect(positions.look('p', 14, 14)).toBe(0)
  positions.stand('p', 12)
  expect([1, 2].map(() => positions.look('p', 14, 14))).toEqual([0, 2])
})

test('whatever is deleted, and however it is seen: read and lost are all that was written', () => {
  const step = fc.oneof(
    fc.record({ write: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ retain: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ read: fc.integer({ min: 1, max: 10 }) }),
    fc.constant({ look: true }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const positions = standing(0)
      let [low, high, fetchAt, read, lost] = [0, 0, 0, 0, 0]
      const readUpTo = (count: number) => {
        const from = Math.max(fetchAt, low)
        const end = Math.min(high, from + count)
        if (end === from) return
        lost += positions.take('p', from)
        read += end - from
        fetchAt = end
        positions.stand('p', end)
      }
      for (const one of steps) {
        if ('write' in one) high += one.write
        else if ('retain' in one) low = Math.max(low, high - one.retain)
        else if ('read' in one) readUpTo(one.read)
        else lost += positions.look('p', low, high)
      }
      readUpTo(Infinity)
      lost += positions.look('p', low, high) + positions.look('p', low, high)
      expect(read + lost).toBe(high)
    }),
  )
})
