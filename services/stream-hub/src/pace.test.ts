import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FlushLoop } from './flush-loop.ts'
import { Lanes } from './lane.ts'
import { flushIntervalMs } from './pace.ts'
import { eventually } from './test-socket.ts'

test('flushes stand further apart when they cost more, within bounds', () => {
  const bounds = { minMs: 8, maxMs: 250 }
  expect(
    [0, 1.9, 2.2, 3.4, 16, 30, 60, 150, 1_000].map((costMs) => Math.round(flushIntervalMs(costMs, bounds))),
  ).toEqual([8, 8, 10, 20, 125, 200, 200, 250, 250])
})

test('members of a lane beyond a thousand open another one, and an empty one is gone', () => {
  const lanes = new Lanes<string>({ minMs: 8, maxMs: 250 })
  const entered = Array.from({ length: 1_001 }, () => lanes.enter(0, 7))
  expect(new Set(entered).size).toBe(2)
  expect(lanes.enter(0, 7)).toBe(entered.at(-1))
  expect(lanes.enter(500, 7)).not.toBe(entered[0])
  for (const lane of entered.slice(0, 1_000)) lanes.leave(lane)
  expect([...lanes]).not.toContain(entered[0])
  expect([...lanes]).toHaveLength(2)
})

test('a quiet lane is due at once, a lane with a rate never sooner than it says, alike ones one after the other', () => {
  const lanes = new Lanes<string>({ minMs: 8, maxMs: 250 })
  const [one, other] = [lanes.enter(0, 0), Array.from({ length: 1_000 }, () => lanes.enter(0, 0)).at(-1)!]
  const slow = lanes.enter(500, 0)
  expect(lanes.next(0)).toBeUndefined()
  expect(lanes.next(1)).toBe(one)
  for (const lane of [one, other, slow]) {
    lanes.hasFlushed(lane, 1_000, 0)
    lane.flushedTo = 1
  }
  expect(lanes.next(2)).toBe(one)
  expect([one.dueAtMs, other.dueAtMs, slow.dueAtMs]).toEqual([1_004, 1_008, 1_500])
  lanes.hasFlushed(one, 1_005, 0)
  lanes.hasFlushed(slow, 1_600, 0)
  expect([one.dueAtMs, slow.dueAtMs]).toEqual([1_012, 2_100])
  expect(lanes.next(2)).toBe(other)
})

test('the loop does not come a fraction of a millisecond before its time', async () => {
  const waits = [2.9, Infinity]
  const flushedAt: number[] = []
  const loop = new FlushLoop({
    flushDue: () => {
      flushedAt.push(performance.now())
      return waits.shift()!
    },
    catchUp: () => false,
    sweep: () => {},
  })
  loop.wake()
  await eventually(() => flushedAt.length === 2)
  loop.stop()
  // A timer counts from the begin of the loop's turn, which is a little earlier.
  expect(flushedAt[1]! - flushedAt[0]!).toBeGreaterThan(2.5)
})

test('the loop flushes when something is due, and comes again when the next is', async () => {
  const flushedAt: number[] = []
  const waits = [0, 40, Infinity]
  const hub = {
    flushDue: () => {
      flushedAt.push(performance.now())
      return waits.shift()!
    },
    catchUp: () => false,
    sweep: () => {},
  }
  const loop = new FlushLoop(hub)
  loop.wake()
  loop.wake()
  await eventually(() => flushedAt.length === 3)
  expect(flushedAt[2]! - flushedAt[1]!).toBeGreaterThan(35)
  loop.wake()
  loop.flushSoon()
  loop.stop()
  await sleep(50)
  expect(flushedAt).toHaveLength(3)
})

test('news is flushed before the event loop turns, together with what came with it, and with nothing else', async () => {
  const calls: string[] = []
  const hub = {
    flushDue: () => calls.push('flush') && Infinity,
    catchUp: () => calls.push('catch up') < 0,
    sweep: () => {},
  }
  const loop = new FlushLoop(hub)
  loop.flushSoon()
  loop.flushSoon()
  expect(calls).toEqual([])
  await Promise.resolve()
  expect(calls).toEqual(['flush'])
  loop.wake()
  loop.flushSoon()
  await eventually(() => calls.length === 3)
  expect(calls).toEqual(['flush', 'flush', 'catch up'])
  loop.stop()
})
