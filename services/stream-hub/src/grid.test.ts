import type { Bbox } from '@flasktoria/contracts/stream'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boxHolds, createBox, placeIn, type Place } from './box.ts'
import { BoxIndex, PlaceIndex } from './grid.ts'

const at = (lat: number, long: number): Place => ({ lat, long })
const holds = (bbox: Bbox, place: Place) => boxHolds(createBox(bbox), place)

describe('a box', () => {
  test('holds its edges and corners, a box without extent its one point', () => {
    expect(holds([10, 50, 11, 51], at(50, 10))).toBe(true)
    expect(holds([10, 50, 11, 51], at(51, 11))).toBe(true)
    expect(holds([10, 50, 11, 51], at(51.000001, 11))).toBe(false)
    expect(holds([10, 50, 10, 50], at(50, 10))).toBe(true)
    expect(holds([10, 50, 10, 50], at(50, 10.000001))).toBe(false)
  })

  test.each<Bbox>([
    [170, -10, -170, 10],
    [170, -10, 190, 10],
    [-190, -10, -170, 10],
    [530, -10, 540, 10],
  ])('%j spans the antimeridian', (...bbox) => {
    expect(holds(bbox, at(0, 175))).toBe(true)
    expect(holds(bbox, at(0, 180))).toBe(true)
    expect(holds(bbox, at(0, -180))).toBe(true)
    expect(holds(bbox, at(0, 0))).toBe(false)
  })

  test('as wide as the world holds every longitude, wherever it begins', () => {
    for (const bbox of [
      [-180, -90, 180, 90],
      [-540, -90, 540, 90],
      [0, -90, 360, 90],
    ] satisfies Bbox[])
      for (const long of [-180, -0.1, 0, 179.9, 180]) expect(holds(bbox, at(12, long))).toBe(true)
  })

  test('that reaches a pole holds the pole by any longitude', () => {
    expect(holds([10, 80, 20, 90], at(90, -100))).toBe(true)
    expect(holds([10, 80, 20, 89.9], at(90, 15))).toBe(false)
  })
})

test.each([
  ['{"update_type":"position","vehicle_id":"v","lat":-1.5,"long":1e-7,"timestamp":1}', at(-1.5, 1e-7)],
  ['{"update_type":"position","vehicle_id":"\\"lat\\":9,\\"long\\":9,","lat":1,"long":2,"timestamp":1}', at(1, 2)],
  ['{"lat":1,"long":2}', at(1, 2)],
  ['{"lat":"1","long":2}', undefined],
])('the place is read from %s', (json, place) => {
  expect(placeIn(json)).toEqual(place)
})

/** Round numbers, so that places lie on edges; and any others. */
const degrees = (most: number) =>
  fc.oneof(
    fc.integer({ min: -most / 5, max: most / 5 }).map((number) => number * 5),
    fc.double({ min: -most, max: most, noNaN: true }),
    fc.double({ min: -1, max: 1, noNaN: true }),
  )
const place = fc.record({ lat: degrees(90), long: degrees(180) })
const bbox = fc
  .tuple(degrees(540), degrees(90), degrees(540), degrees(90))
  .map(([west, one, east, other]): Bbox => [west, Math.min(one, other), east, Math.max(one, other)])

describe('the grid', () => {
  test('finds exactly what lies in a box, wherever it moved before', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(place, place), { maxLength: 20 }), bbox, (moves, box) => {
        const index = new PlaceIndex<{ now: Place }>()
        const items = moves.map(([before, now]) => {
          const item = { now }
          index.move(item, undefined, before)
          index.move(item, before, now)
          return item
        })
        const found: { now: Place }[] = []
        index.forEachNear(createBox(box), (item) => found.push(item))
        expect(new Set(found).size).toBe(found.length)
        expect(new Set(found.filter(({ now }) => holds(box, now)))).toEqual(
          new Set(items.filter(({ now }) => holds(box, now))),
        )
      }),
    )
  })

  test('finds exactly the boxes that hold a place, each once', () => {
    fc.assert(
      fc.property(fc.array(bbox, { maxLength: 20 }), place, fc.nat(), (boxes, there, gone) => {
        const index = new BoxIndex<{ box: ReturnType<typeof createBox> }>()
        const items = boxes.map((one) => ({ box: createBox(one) }))
        for (const item of items) index.add(item)
        const removed = items.splice(gone % (items.length + 1), 1)
        for (const item of removed) index.delete(item)
        const found: unknown[] = []
        index.forEachAt(there, (item) => found.push(item))
        expect(new Set(found)).toEqual(new Set(items.filter(({ box }) => boxHolds(box, there))))
        expect(found).toHaveLength(new Set(found).size)
      }),
    )
  })
})
