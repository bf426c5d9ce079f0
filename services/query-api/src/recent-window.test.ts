import type { Entry } from '@flasktoria/live-log/log'
import { expect, test } from 'vitest'
import { RecentWindow } from './recent-window.ts'
import { anomaly, position, reading } from './test-app.ts'

const everything = { from: 0, to: Infinity }
const numbered = (entries: Omit<Entry, 'seq' | 'appendedAt' | 'isLate'>[], from = 1): Entry[] =>
  entries.map((entry, index) => ({ ...entry, seq: from + index, appendedAt: 0, isLate: false }))

function createWindow(clock = { now: 1_000_000 }, bounds = {}) {
  const all = { retentionMs: 60_000, maxReadings: 1_000, maxAnomalies: 3, ...bounds }
  return { window: new RecentWindow(all, () => clock.now), clock }
}

test('a snapshot after a gap does not repeat what was heard; one of a new epoch adds to it', () => {
  const { window } = createWindow()
  const recent = numbered([reading('v', 's', 1, '1'), reading('v', 's', 2, '2')])
  window.onSnapshot({ epoch: 'a', head: 2, state: [], recent, reason: 'start' })
  window.onSnapshot({
    epoch: 'a',
    head: 3,
    state: [],
    recent: [...recent, ...numbered([reading('v', 's', 3, '3')], 3)],
    reason: 'gap',
  })
  expect(window.size.readings).toBe(3)
  window.onSnapshot({ epoch: 'b', head: 1, state: [], recent: numbered([reading('v', 's', 4, '4')]), reason: 'epoch' })
  window.onEntries(numbered([reading('v', 's', 5, '5')], 2))
  expect(window.readings('v', 's', everything).timestamps).toEqual([5, 4, 3, 2, 1])
})

test('the newest position by event time stands, whatever order they came in, and late readings count as any', () => {
  const { window, clock } = createWindow()
  window.onEntries([
    ...numbered([position('v', clock.now - 10, 1, 1), position('v', clock.now - 20, 2, 2), reading('v', 's', 20, '1')]),
    { ...reading('v', 's', 10, '2'), seq: 4, appendedAt: 0, isLate: true },
  ])
  expect(window.positions()).toEqual([{ vehicle: 'v', lat: 1, long: 1, timestamp: clock.now - 10 }])
  expect(window.readings('v', 's', everything).timestamps).toEqual([20, 10])
})

test('positions leave five minutes after they were taken, and anomalies by number and by age', () => {
  const { window, clock } = createWindow()
  window.onEntries(numbered([position('v', clock.now, 1, 1), ...[1, 2, 3, 4].map((id) => anomaly('v', id, id))]))
  expect(window.anomalies(everything).map(({ anomalyId }) => anomalyId)).toEqual([2, 3, 4])
  clock.now += 300_000
  expect(window.positions()).toHaveLength(1)
  expect(window.anomalies(everything)).toEqual([])
  clock.now += 1
  expect(window.positions()).toEqual([])
})

test('whether a vehicle is there changes nothing in the window', () => {
  const { window, clock } = createWindow()
  const status = { ...position('v', clock.now, 0, 0), kind: 'vehiclestatus' as const, json: '{"value":"offline"}' }
  const both = numbered([position('v', clock.now, 1, 1), status])
  window.onSnapshot({ epoch: 'a', head: 2, state: both, recent: both, reason: 'start' })
  window.onEntries(numbered([status], 3))
  expect(window.positions()).toEqual([{ vehicle: 'v', lat: 1, long: 1, timestamp: clock.now }])
  expect([window.size.readings, window.unreadable]).toEqual([0, 0])
})

test('an entry that is no update is counted and harms nothing else', () => {
  const { window } = createWindow()
  const broken = ['', '{', 'null', '{}', '{"values":3}'].map((json) => ({ ...reading('v', 's', 1, '1'), json }))
  window.onEntries(numbered([...broken, reading('v', 's', 2, '2')]))
  expect(window.unreadable).toBe(5)
  expect(window.readings('v', 's', everything).timestamps).toEqual([2])
})
