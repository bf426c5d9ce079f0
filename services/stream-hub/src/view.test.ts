import { updateKinds } from '@flasktoria/contracts/updates'
import { MuteRules, type MuteRule } from '@flasktoria/live-log/mutes'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { select } from './flush-frames.ts'
import type { Kept } from './log-window.ts'
import { createFilter, sees } from './subscription.ts'
import { baseSees, createView, viewSees } from './view.ts'

const vehicle = fc.constantFrom('a', 'b', 'c', 'd')
const sensor = fc.constantFrom('s', 't')
const wish = fc.record(
  {
    kinds: fc.uniqueArray(fc.constantFrom(...updateKinds), { minLength: 1 }),
    vehicles: fc.uniqueArray(vehicle),
    sensors: fc.uniqueArray(sensor),
  },
  { requiredKeys: [] },
)
const rule: fc.Arbitrary<MuteRule> = fc.record({
  kind: fc.constantFrom('position', 'sensordata', 'sensorstatus'),
  vehicle,
  sensor: fc.constantFrom('', 's', 't'),
  isMuted: fc.boolean(),
})
const view = fc.tuple(fc.array(wish, { maxLength: 4 }), fc.array(rule, { maxLength: 4 })).map(([wishes, rules]) => {
  const mutes = new MuteRules()
  for (const one of rules) mutes.apply(one)
  return createView(wishes.map(createFilter), mutes)
})
const seen = fc.record({ kind: fc.constantFrom(...updateKinds), vehicle, sensor })

describe('a filter', () => {
  test('without any wish sees everything', () => {
    fc.assert(
      fc.property(seen, (one) => {
        expect(sees(createFilter({}), one)).toBe(true)
      }),
    )
  })

  test('narrows only sensordata and sensorstatus by sensor', () => {
    const filter = createFilter({ sensors: ['s'] })
    expect(sees(filter, { kind: 'position', vehicle: 'a', sensor: '' })).toBe(true)
    expect(sees(filter, { kind: 'anomaly', vehicle: 'a', sensor: 't' })).toBe(true)
    expect(sees(filter, { kind: 'sensordata', vehicle: 'a', sensor: 't' })).toBe(false)
    expect(sees(filter, { kind: 'sensorstatus', vehicle: 'a', sensor: 's' })).toBe(true)
  })
})

describe('a view', () => {
  test('differs from its base only at the vehicles that it names', () => {
    fc.assert(
      fc.property(view, seen, (one, what) => {
        fc.pre(!one.named.has(what.vehicle))
        expect(viewSees(one, what)).toBe(baseSees(one, what))
      }),
    )
  })

  test('selects the same by its base and named vehicles as one by one', () => {
    fc.assert(
      fc.property(view, fc.array(seen), (one, updates) => {
        const kept = updates.map((entry, place) => ({ seq: place, entry }) as unknown as Kept)
        const places = (matches: (what: (typeof updates)[number]) => boolean) =>
          updates.flatMap((what, place) => (matches(what) ? [place] : []))
        const base = places((what) => baseSees(one, what))
        const touched = places((what) => one.named.has(what.vehicle))
        expect(select(one, kept, base, touched)).toEqual(places((what) => viewSees(one, what)))
      }),
    )
  })

  test('has the signature of every view that sees the same for the same reasons', () => {
    fc.assert(
      fc.property(view, view, seen, (one, other, what) => {
        expect(one.signature !== other.signature || viewSees(one, what) === viewSees(other, what)).toBe(true)
      }),
    )
    const [a, b] = [createFilter({ vehicles: ['1', '2'] }), createFilter({ kinds: ['position'] })]
    const [c, d] = [createFilter({ vehicles: ['2', '1', '2'] }), createFilter({ kinds: ['position'], sensors: ['s'] })]
    expect(createView([a, b]).signature).toBe(createView([d, c, a]).signature)
    expect(createView([a]).signature).not.toBe(createView([b]).signature)
    expect(createView([createFilter({})]).signature).toBe(createView([createFilter({ kinds: updateKinds })]).signature)
    expect(createView([]).signature).not.toBe(createView([createFilter({})]).signature)
  })

  test('has no secret twin: ids can be any text', () => {
    const tricky = (vehicles: string[]) => createView([createFilter({ vehicles })]).signature
    expect(tricky(['a","b'])).not.toBe(tricky(['a', 'b']))
    expect(tricky([])).not.toBe(createView([createFilter({})]).signature)
  })

  test('never mutes an anomaly', () => {
    fc.assert(
      fc.property(view, vehicle, (one, of) => {
        const what = { kind: 'anomaly', vehicle: of, sensor: '' } as const
        expect(viewSees(one, what)).toBe(one.filters.some((filter) => sees(filter, what)))
      }),
    )
  })
})
