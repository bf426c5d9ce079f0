import { updateKinds } from '@flasktoria/contracts/updates'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MalformedBatch, formatFields, parseBatch, parseState } from './batch.ts'

const text = fc.string({ unit: 'grapheme' }).filter((value) => !/[\t\n]/.test(value))
const draft = fc.record({
  kind: fc.constantFrom(...updateKinds),
  vehicle: text,
  sensor: text,
  eventTs: fc.maxSafeInteger(),
  json: fc.json(),
})

test('entries come out of a batch as they went in', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(draft, fc.boolean()), { minLength: 1 }),
      fc.integer({ min: 1, max: 1e15 }),
      (items, first) => {
        const lines = items.map(([fields, isLate]) => `${isLate ? 'L' : 'N'}${formatFields(fields)}`)
        const batch = parseBatch([`e1\t${first}\t${items.length}`, ...lines].join('\n'))
        expect(batch).toEqual({
          epoch: 'e1',
          first,
          entries: items.map(([fields, isLate], index) => ({ ...fields, seq: first + index, isLate })),
        })
      },
    ),
  )
})

test('a state value comes out as it went in', () => {
  fc.assert(
    fc.property(draft, fc.maxSafeInteger().map(Math.abs), (fields, seq) => {
      expect(parseState(`${seq}\t${formatFields(fields)}`)).toEqual({ ...fields, seq, isLate: false })
    }),
  )
})

test('a batch that was cut or damaged is refused, never misread in silence', () => {
  const whole = `e1\t7\t2\nN${formatFields({ kind: 'position', vehicle: 'v', sensor: '', eventTs: 1, json: '{}' })}\nL${formatFields({ kind: 'sensordata', vehicle: 'v', sensor: 's', eventTs: 1, json: '{}' })}`
  expect(parseBatch(whole).entries).toHaveLength(2)
  const jsonOfTheLast = whole.lastIndexOf('{}')
  for (let length = 0; length < jsonOfTheLast; length++)
    expect(() => parseBatch(whole.slice(0, length))).toThrow(MalformedBatch)
})

test('whatever else comes is refused with one kind of error', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('\t', '\n', 'N', 'L', '1', 'e', 'position', '{') }), (garbage) => {
      let refusal: unknown
      try {
        parseBatch(garbage)
      } catch (error) {
        refusal = error
      }
      expect(refusal === undefined || refusal instanceof MalformedBatch).toBe(true)
    }),
  )
})
