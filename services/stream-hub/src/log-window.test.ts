import type { Entry } from '@flasktoria/live-log/log'
import { mergeKey } from '@flasktoria/live-log/log'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boxHolds, createBox } from './box.ts'
import { LogWindow, type Kept, type WindowBounds } from './log-window.ts'

const bounds: WindowBounds = { ringLength: 8, maxEvents: 1_000, maxStateKeys: 1_000, stateRetentionMs: 1_000 }

const entry = (seq: number, part: Partial<Entry> = {}): Entry => ({
  seq,
  kind: 'position',
  vehicle: 'v',
  sensor: '',
  eventTs: seq,
  isLate: false,
  appendedAt: 0,
  json: String(seq),
  ...part,
})
const seqs = (kept: Iterable<Kept>) => Array.from(kept).flatMap(({ seq, isCurrent }) => (isCurrent ? [seq] : []))
const snapshot = (state: Entry[], recent: Entry[], head: number) =>
  ({ epoch: 'e', head, state, recent, reason: 'start' }) as const

const parts = fc.array(
  fc.record({
    kind: fc.constantFrom('position', 'anomaly'),
    vehicle: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    isLate: fc.boolean(),
  }),
  { maxLength: 60 },
)

/** What is current of a sequence: the last of each key, every event, nothing late. */
function currentOf(entries: readonly Entry[]): number[] {
  const last = new Map<string, number>()
  for (const one of entries)
    if (!one.isLate) last.set(one.kind === 'anomaly' ? `event ${one.seq}` : mergeKey(one), one.seq)
  return [...last.values()].toSorted((a, b) => a - b)
}

describe('changes', () => {
  test('are what is current and came after a seq, whether the ring reaches back so far or not', () => {
    fc.assert(
      fc.property(parts, fc.nat(60), fc.nat(60), (given, after, loaded) => {
        const entries = given.map((part, index) =>
          entry(index + 1, { ...part, isLate: part.isLate && part.kind === 'position' }),
        )
        const head = Math.min(loaded, entries.length)
        const before = entries.slice(0, head)
        const state = before.filter(({ seq, kind }) => kind === 'position' && currentOf(before).includes(seq))
        const window = new LogWindow(bounds)
        window.load(snapshot(state, before, head), 0)
        window.append(entries.slice(head), 0)
        const current = currentOf(entries)
        expect(seqs(window.changes(after, window.head))).toEqual(current.filter((seq) => seq > after))
        expect(seqs(window.state(window.head))).toEqual(current.filter((seq) => entries[seq - 1]!.kind === 'position'))
      }),
    )
  })

  test('tell of what a newer entry has replaced, as long as the ring remembers', () => {
    const window = new LogWindow({ ...bounds, ringLength: 3 })
    window.load(snapshot([], [], 0), 0)
    window.append([entry(1), entry(2), entry(3), entry(4)], 0)
    expect(Array.from(window.changes(1, 4), ({ seq, isCurrent }) => [seq, isCurrent])).toEqual([
      [2, false],
      [3, false],
      [4, true],
    ])
    expect(Array.from(window.changes(0, 4), ({ seq }) => seq)).toEqual([4])
    expect(window.between(0, 4)).toEqual([])
  })
})

describe('places', () => {
  const at = (seq: number, vehicle: string, long: number) =>
    entry(seq, { vehicle, json: `{"lat":1,"long":${long},"timestamp":0}` })
  const world = createBox([-180, -90, 180, 90])

  test('are known at every seq that the ring remembers', () => {
    const moves = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: -3, max: 3 })), { maxLength: 20 })
    fc.assert(
      fc.property(moves, fc.nat(20), (given, loaded) => {
        const entries = given.map(([vehicle, long], index) => at(index + 1, vehicle, long))
        const head = Math.min(loaded, entries.length)
        const window = new LogWindow({ ...bounds, ringLength: 6 })
        const state = entries.slice(0, head).filter(({ seq, vehicle }) => lastOf(given.slice(0, head), vehicle) === seq)
        window.load(snapshot(state, [], head), 0)
        window.append(entries.slice(head), 0)
        for (let seq = window.placesFloor; seq <= entries.length; seq++) {
          const known = given.slice(0, seq)
          for (const box of [world, createBox([0, 0, 2, 1])]) {
            const inBox = ['a', 'b', 'c'].filter((vehicle) => {
              const long = known.findLast(([one]) => one === vehicle)?.[1]
              return long !== undefined && boxHolds(box, { lat: 1, long })
            })
            expect([...window.vehiclesIn(box, seq)].toSorted()).toEqual(inBox)
          }
        }
      }),
    )
  })

  test('of anomalies are those of their vehicles when they came', () => {
    const window = new LogWindow(bounds)
    window.load(snapshot([], [], 0), 0)
    window.append([at(1, 'v', 5), entry(2, { kind: 'anomaly' }), at(3, 'v', 6)], 0)
    expect(window.between(0, 3).map(({ where }) => where.place?.long)).toEqual([6, 5, 6])
    expect(window.between(0, 3).map(({ before }) => before?.long)).toEqual([undefined, undefined, 5])
  })

  test('of vehicles whose position was forgotten are unknown', () => {
    const window = new LogWindow(bounds)
    window.load(snapshot([], [], 0), 0)
    window.append([at(1, 'v', 5)], 0)
    window.append([entry(2, { kind: 'sensordata', sensor: 's' })], 5_000)
    expect(window.sweep(5_500).keys).toBe(1)
    expect([...window.vehiclesIn(world)]).toEqual([])
  })
})

const lastOf = (moves: readonly (readonly [string, number])[], vehicle: string) =>
  moves.findLastIndex(([one]) => one === vehicle) + 1

describe('the state', () => {
  test('may be walked while it changes: what is replaced meanwhile is left out', () => {
    const window = new LogWindow(bounds)
    window.load(snapshot([], [], 0), 0)
    window.append([entry(1, { vehicle: 'a' }), entry(2, { vehicle: 'b' }), entry(3, { vehicle: 'c' })], 0)
    for (const vehicles of [undefined, new Set(['a', 'b', 'c'])]) {
      const walk = window.state(window.head, vehicles)
      const { head } = window
      const first = walk.next().value!.entry.vehicle
      window.append([entry(head + 1, { vehicle: 'b' }), entry(head + 2, { vehicle: first })], 0)
      expect(Array.from(walk, (kept) => kept.entry.vehicle)).not.toContain('b')
    }
  })

  test('forgets keys that are too old or too many, the oldest first', () => {
    const window = new LogWindow({ ...bounds, maxStateKeys: 2 })
    window.load(snapshot([], [], 0), 0)
    window.append([entry(1, { vehicle: 'a' }), entry(2, { vehicle: 'b' }), entry(3, { vehicle: 'c' })], 500)
    expect(window.sweep(600).keys).toBe(1)
    expect(seqs(window.state(window.head))).toEqual([2, 3])
    expect(seqs(window.state(window.head, new Set(['a', 'b'])))).toEqual([2])
    window.append([entry(4, { vehicle: 'b' })], 1_400)
    expect(window.sweep(1_600).keys).toBe(1)
    expect(seqs(window.changes(0, 4))).toEqual([4])
  })
})

describe('events', () => {
  const anomaly = (seq: number) => entry(seq, { kind: 'anomaly' })

  test('are remembered from a floor on, that rises when they are trimmed', () => {
    const window = new LogWindow({ ...bounds, maxEvents: 4 })
    window.load(snapshot([], [anomaly(11), anomaly(12)], 12), 0)
    expect(window.eventsFloor).toBe(10)
    window.append(
      Array.from({ length: 20 }, (_, index) => anomaly(13 + index)),
      0,
    )
    expect(seqs(window.changes(window.eventsFloor, 32))).toEqual(
      Array.from({ length: 32 - window.eventsFloor }, (_, index) => window.eventsFloor + 1 + index),
    )
    expect(window.eventsFloor).toBeGreaterThan(12)
  })

  test('leave their time behind when they are forgotten', () => {
    const window = new LogWindow({ ...bounds, maxEvents: 2 })
    window.load(snapshot([], [anomaly(5), anomaly(7)], 7), 0)
    expect([4, 6, 9].map((seq) => window.eventTsBefore(seq))).toEqual([undefined, 5, 7])
    window.append([anomaly(8), anomaly(9), anomaly(10)], 0)
    expect([6, 8, 9, 10].map((seq) => window.eventTsBefore(seq))).toEqual([5, 8, 9, 10])
    window.load(snapshot([], [anomaly(20)], 20), 0)
    expect([15, 20].map((seq) => window.eventTsBefore(seq))).toEqual([10, 20])
    window.load({ ...snapshot([], [], 3), epoch: 'f' }, 0)
    expect(window.eventTsBefore(15)).toBeUndefined()
  })
})
