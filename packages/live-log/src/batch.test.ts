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
      fc.maxSafeNat(),
      (items, first, appendedAt) => {
        const entries = items.map(([fields, isLate], index) => ({ ...fields, seq: first + index, appendedAt, isLate }))
        const batch = { epoch: 'e1', first, appendedAt, entries }
        expect(parseBatch(formatBatch(batch))).toEqual(batch)
      },
    ),
  )
})

test('a state value comes out as it went in', () => {
  fc.assert(
    fc.property(draft, fc.maxSafeNat(), fc.maxSafeNat(), (fields, seq, appendedAt) => {
      const value = `${seq}@${appendedAt}\t${fields.eventTs}\t${fields.json}`
      expect(parseState(mergeKey(fields), value)).toEqual({ ...fields, seq, appendedAt, isLate: false })
    }),
  )
})

test('what a version without append times left is read, its append time unknown', () => {
  expect(parseBatch('e1\t7\t1\nNposition\tv\t\t5\t{}')).toMatchObject({ appendedAt: 0, entries: [{ appendedAt: 0 }] })
  expect(parseState('position\tv\t', '7\t5\t{}')).toMatchObject({ seq: 7, eventTs: 5, appendedAt: 0 })
})

test('an append time that is none is refused', () => {
  for (const time of ['', '-1', '1.5', 'x', '1e300']) {
    expect(() => parseBatch(`e1\t7\t1\t${time}\nNposition\tv\t\t5\t{}`)).toThrow(MalformedBatch)
    expect(() => parseState('position\tv\t', `7@${time}\t5\t{}`)).toThrow(MalformedBatch)
  }
})

test('a batch that was cut or damaged is refused, never misread in silence', () => {
  const whole = 'e1\t7\t2\t1800000000000\nNposition\tv\t\t1\t{}\nLsensordata\tv\ts\t1\t{}'
  expect(parseBatch(whole).entries).toHaveLength(2)
  const jsonOfTheLast = whole.lastIndexOf('{}')
  for (let length = 0; length < jsonOfTheLast; length++)
    expect(() => parseBatch(whole.slice(0, length))).toThrow(MalformedBatch)
})

test('whatever else comes is refused with one kind of error', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('\t', '\n', 'N', 'L', '1', '@', 'e', 'position', '{') }),
      (garbage) => {
        let refusal: unknown
        try {
          parseBatch(garbage)
        } catch (error) {
          refusal = error
        }
        expect(refusal === undefined || refusal instanceof MalformedBatch).toBe(true)
      },
    ),
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
    { heldStatusJson: '\n' },
    { eventTs: 0.5 },
  ])
    expect(() => assertFits({ ...fits, ...broken })).toThrow(RangeError)
})
