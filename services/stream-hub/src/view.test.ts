import type { Bbox } from '@flasktoria/contracts/stream'
import { updateKinds } from '@flasktoria/contracts/updates'
import { MuteRules, type MuteRule } from '@flasktoria/live-log/mutes'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boxHolds, type Place } from './box.ts'
import { select } from './flush-frames.ts'
import { Groups } from './groups.ts'
import type { Kept, Whereabouts } from './log-window.ts'
import { createFilter, sees, type Seen, type Wishes } from './subscription.ts'
import { baseSees, createView, viewSees, type View } from './view.ts'

const vehicle = fc.constantFrom('a', 'b', 'c', 'd')
const sensor = fc.constantFrom('s', 't')
const wish = fc.record(
  {
    kinds: fc.uniqueArray(fc.constantFrom(...updateKinds), { minLength: 1 }),
    vehicles: fc.uniqueArray(vehicle),
    sensors: fc.uniqueArray(sensor),
    bbox: fc.constantFrom<Bbox>([0, 0, 1.5, 2], [-180, -90, 180, 90], [3, 3, 4, 4]),
    every: fc.boolean(),
  },
  { requiredKeys: [] },
)
const rule: fc.Arbitrary<MuteRule> = fc.record({
  kind: fc.constantFrom('position', 'sensordata', 'sensorstatus'),
  vehicle,
  sensor: fc.constantFrom('', 's', 't'),
  isMuted: fc.boolean(),
})
const filterOf = (wishes: Wishes) => createFilter('', wishes)
const view = fc.tuple(fc.array(wish, { maxLength: 4 }), fc.array(rule, { maxLength: 4 })).map(([wishes, rules]) => {
  const mutes = new MuteRules()
  for (const one of rules) mutes.apply(one)
  return createView(wishes.map(filterOf), mutes)
})
/** Where each vehicle is; nobody knows of `d`. */
const places: Record<string, Place> = { a: { lat: 1, long: 1 }, b: { lat: 1, long: 2 }, c: { lat: 5, long: 5 } }
const seen = fc.record({ kind: fc.constantFrom(...updateKinds), vehicle, sensor })

const whereIs = ({ vehicle: one }: Seen): Whereabouts => ({ vehicle: one, place: places[one] })
const isTouched = ({ named, filters }: View, { vehicle: one }: Seen) => {
  const place = places[one]
  return named.has(one) || filters.some(({ view: viewport }) => place && viewport && boxHolds(viewport.box, place))
}

describe('a filter', () => {
  test('without any wish sees everything', () => {
    fc.assert(
      fc.property(seen, (one) => {
        expect(sees(filterOf({}), one, undefined)).toBe(true)
      }),
    )
  })

  test('narrows only sensordata and sensorstatus by sensor', () => {
    const filter = filterOf({ sensors: ['s'] })
    expect(sees(filter, { kind: 'position', vehicle: 'a', sensor: '' }, undefined)).toBe(true)
    expect(sees(filter, { kind: 'anomaly', vehicle: 'a', sensor: 't' }, undefined)).toBe(true)
    expect(sees(filter, { kind: 'sensordata', vehicle: 'a', sensor: 't' }, undefined)).toBe(false)
    expect(sees(filter, { kind: 'sensorstatus', vehicle: 'a', sensor: 's' }, undefined)).toBe(true)
  })
})

describe('a view', () => {
  test('differs from its base only at the vehicles that it names and the places that its boxes hold', () => {
    fc.assert(
      fc.property(view, seen, (one, what) => {
        fc.pre(!isTouched(one, what))
        expect(viewSees(one, what, places[what.vehicle])).toBe(baseSees(one, what))
      }),
    )
  })

  test('selects the same by its base and what is touched as one by one', () => {
    fc.assert(
      fc.property(view, fc.array(seen), (one, updates) => {
        const kept = updates.map((entry, seq) => ({ seq, entry, where: whereIs(entry) }) as unknown as Kept)
        const indexes = (matches: (what: (typeof updates)[number]) => boolean) =>
          updates.flatMap((what, index) => (matches(what) ? [index] : []))
        const base = indexes((what) => baseSees(one, what))
        const touched = indexes((what) => isTouched(one, what))
        expect(select(one, kept, base, { touched })).toEqual(
          indexes((what) => viewSees(one, what, places[what.vehicle])),
        )
      }),
    )
  })

  test('is concerned by exactly what may differ from its base', () => {
    fc.assert(
      fc.property(view, fc.array(seen), (one, updates) => {
        const kept = updates.map((entry, seq) => ({ seq, entry, where: whereIs(entry) }) as unknown as Kept)
        const groups = new Groups<string>()
        const group = groups.join('member', 'v2', one, false)
        const concerned = groups.concerned(kept).get(group)
        const touched = updates.flatMap((what, index) => (isTouched(one, what) ? [index] : []))
        expect(concerned?.touched ?? []).toEqual(touched)
        groups.leave('member', group)
        expect(groups.concerned(kept).size).toBe(0)
      }),
    )
  })

  test('without events sees the rest', () => {
    fc.assert(
      fc.property(view, seen, (one, what) => {
        const place = places[what.vehicle]
        const rest = createView(one.filters, one.mutes, false)
        expect(viewSees(rest, what, place)).toBe(viewSees(one, what, place) && what.kind !== 'anomaly')
      }),
    )
  })

  test('has the signature of every view that sees the same for the same reasons', () => {
    fc.assert(
      fc.property(view, view, seen, (one, other, what) => {
        const place = places[what.vehicle]
        expect(one.signature !== other.signature || viewSees(one, what, place) === viewSees(other, what, place)).toBe(
          true,
        )
      }),
    )
    const [a, b] = [filterOf({ vehicles: ['1', '2'] }), filterOf({ kinds: ['position'] })]
    const [c, d] = [filterOf({ vehicles: ['2', '1', '2'] }), filterOf({ positionsOnly: true, sensors: ['s'] })]
    expect(createView([a, b]).signature).toBe(createView([d, c, a]).signature)
    expect(createView([a]).signature).not.toBe(createView([b]).signature)
    expect(createView([filterOf({})]).signature).toBe(createView([filterOf({ kinds: updateKinds })]).signature)
    expect(createView([]).signature).not.toBe(createView([filterOf({})]).signature)
    expect(createView([filterOf({ bbox: [170, 0, 190, 1] })]).signature).toBe(
      createView([filterOf({ bbox: [170, 0, -170, 1] })]).signature,
    )
  })

  test('has no secret twin: ids can be any text', () => {
    const tricky = (vehicles: string[]) => createView([filterOf({ vehicles })]).signature
    expect(tricky(['a","b'])).not.toBe(tricky(['a', 'b']))
    expect(tricky([])).not.toBe(createView([filterOf({})]).signature)
  })

  test('never mutes an anomaly', () => {
    fc.assert(
      fc.property(view, vehicle, (one, of) => {
        const what = { kind: 'anomaly', vehicle: of, sensor: '' } as const
        expect(viewSees(one, what, places[of])).toBe(one.filters.some((filter) => sees(filter, what, places[of])))
      }),
    )
  })
})
