import { updateKinds } from '@flasktoria/contracts/updates'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MalformedBatch, assertFits, formatBatch, parseBatch, parseState } from './batch.ts'
import { mergeKey } from './log.ts'

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
        const entries = items.map(([fields, isLate], index) => ({ ...fields, seq: first + index, isLate }))
        const batch = { epoch: 'e1', first, entries }
        expect(parseBatch(formatBatch(batch))).toEqual(batch)
      },
    ),
  )
})

test('a state value comes out as it went in', () => {
  fc.assert(
    fc.property(draft, fc.maxSafeInteger().map(Math.abs), (fields, seq) => {
      const value = `${seq}\t${fields.eventTs}\t${fields.json}`
      expect(parseState(mergeKey(fields), value)).toEqual({ ...fields, seq, isLate: false })
    }),
  )
})

test('a batch that was cut or damaged is refused, never misread in silence', () => {
  const whole = 'e1\t7\t2\nNposition\tv\t\t1\t{}\nLsensordata\tv\ts\t1\t{}'
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

test('what would break a line is refused before it is appended', () => {
  const fits = { kind: 'sensordata', vehicle: 'v', sensor: 's', eventTs: 1, json: '{}' } as const
  expect(() => assertFits(fits)).not.toThrow()
  for (const broken of [
    { vehicle: 'a\tb' },
    { sensor: 'a\nb' },
    { json: '{\n}' },
    { statusJson: '\t' },
    { eventTs: 0.5 },
  ])
    expect(() => assertFits({ ...fits, ...broken })).toThrow(RangeError)
})
