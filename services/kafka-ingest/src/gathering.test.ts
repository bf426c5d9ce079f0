import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { updateSchema } from '@flasktoria/contracts/updates'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { Gathering } from './gathering.ts'
import { createTransform } from './transform.ts'
import type { Fact } from './validate.ts'

const transform = createTransform({ sensors: defaultSensors, anomalies: defaultAnomalies })
const raw = (offset: number) => ({
  topic: 't',
  profile: sensorProfile,
  partition: 0,
  offset,
  value: null,
  timestamp: 0,
})

function gathered(facts: readonly Fact[]) {
  const gathering = new Gathering(transform)
  for (const [offset, fact] of facts.entries()) gathering.add(fact, raw(offset))
  const drafts = [...gathering.drafts()]
  // A log that did not answer gets the same once more.
  expect([...gathering.drafts()]).toEqual(drafts)
  const { conflated } = gathering
  return { drafts: drafts.map(({ json, ...draft }) => ({ ...draft, update: JSON.parse(json) })), conflated }
}

const reading = (ts: number, value: number | null, text = String(value)): Fact => ({
  kind: 'reading',
  vehicle: 'v',
  sensor: 's',
  ts,
  value,
  text,
})
const fix = (ts: number, lat: number): Fact => ({ kind: 'fix', vehicle: 'v', ts, lat, long: 0, text: '' })
const anomaly = (ts: number): Fact => ({
  kind: 'anomaly',
  vehicle: 'v',
  sensor: 's',
  ts,
  anomalyId: 1,
  detectionTime: '',
  confirmationTime: '',
  rootCause: '',
  recommendation: '',
})

test('readings of a sensor are one update: the newest, with all values, newest first, of equal times the last', () => {
  const { drafts, conflated } = gathered([reading(3, 30), reading(1, 10), reading(4, 40), reading(3, 33)])
  expect(drafts).toMatchObject([{ kind: 'sensordata', eventTs: 4 }])
  expect(drafts[0]!.update).toMatchObject({
    value: '40',
    timestamp: 4,
    values: [
      { timestamp: 4, value: 40 },
      { timestamp: 3, value: 33 },
      { timestamp: 1, value: 10 },
    ],
  })
  expect(conflated).toBe(1)
})

test('of positions and of words the newest stays, and the others are counted', () => {
  const { drafts, conflated } = gathered([
    fix(2, 20),
    fix(3, 30),
    fix(1, 10),
    reading(1, null, 'R'),
    reading(2, null, 'D'),
  ])
  expect(drafts.map(({ update }) => update)).toMatchObject([
    { update_type: 'position', lat: 30, timestamp: 3 },
    { update_type: 'sensordata', value: 'D', values: [] },
  ])
  expect(conflated).toBe(3)
})

test('each anomaly is an update of its own, in order, behind the positions', () => {
  const { drafts } = gathered([anomaly(2), fix(1, 10), anomaly(1)])
  expect(drafts.map(({ kind, eventTs }) => [kind, eventTs])).toEqual([
    ['position', 1],
    ['anomaly', 2],
    ['anomaly', 1],
  ])
  expect(new Set(drafts.map(({ id }) => id)).size).toBe(3)
})

test('no update grows without bound: the values of a long backlog come in several, by time', () => {
  const { drafts } = gathered(Array.from({ length: 600 }, (_, index) => reading(600 - index, index)))
  expect(drafts.map(({ update }) => update.values.length)).toEqual([250, 250, 100])
  expect(drafts.map(({ eventTs }) => eventTs)).toEqual([250, 500, 600])
})

test('whatever comes, every value is in one update, once, and no update breaks the contract', () => {
  const facts = fc.array(
    fc.oneof(
      fc.record({ ts: fc.nat(20), value: fc.integer({ min: -9, max: 9 }) }).map(({ ts, value }) => reading(ts, value)),
      fc.nat(20).map((ts) => reading(ts, null, 'word')),
      fc.nat(20).map((ts) => fix(ts, 1)),
      fc.nat(20).map((ts) => anomaly(ts)),
    ),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(facts, (all) => {
      const { drafts, conflated } = gathered(all)
      for (const { update } of drafts) expect(updateSchema.safeParse(update).error).toBeUndefined()
      const values = drafts.flatMap(({ update }) => update.values ?? [])
      const numbers = new Map<number, number>()
      for (const fact of all) if (fact.kind === 'reading' && fact.value !== null) numbers.set(fact.ts, fact.value)
      const expected = [...numbers].toSorted(([one], [other]) => other - one)
      expect(values).toEqual(expected.map(([timestamp, value]) => ({ timestamp, value })))
      const said = drafts.filter(({ kind, update }) => kind !== 'sensordata' || update.values.length === 0).length
      const words = drafts.filter(({ update }) => update.values?.length > 0 && update.value === 'word').length
      expect(conflated).toBe(all.length - said - words - values.length)
    }),
  )
})
