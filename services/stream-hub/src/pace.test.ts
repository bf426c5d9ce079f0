import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Allowance } from './allowance.ts'
import { FlushLoop } from './flush-loop.ts'
import { flushIntervalMs } from './pace.ts'
import { eventually } from './test-socket.ts'

test('flushes stand further apart when they cost more, within bounds', () => {
  const bounds = { minMs: 25, maxMs: 250 }
  expect([0, 15, 60, 150, 1_000].map((costMs) => flushIntervalMs(costMs, bounds))).toEqual([25, 25, 100, 250, 250])
})

test('an allowance gives a burst at once, and then what flows in', () => {
  const allowance = new Allowance(3, 2)
  expect([0, 0, 0, 0].map(() => allowance.take(1_000))).toEqual([true, true, true, false])
  expect([1_400, 1_500, 1_500, 60_000].map((at) => allowance.take(at))).toEqual([false, true, false, true])
  expect([0, 0, 0].map(() => allowance.take(60_000))).toEqual([true, true, false])
})

test('the first update is flushed at once, the next ones together', async () => {
  const flushedAt: number[] = []
  let pending = false
  const hub = {
    get hasPending() {
      return pending
    },
    flush: () => {
      flushedAt.push(performance.now())
      pending = false
    },
    catchUp: () => false,
    sweep: () => {},
  }
  const loop = new FlushLoop(hub, { minMs: 80, maxMs: 500 }, () => performance.now())
  const update = () => {
    pending = true
    loop.wake()
  }
  const beganAt = performance.now()
  update()
  await eventually(() => flushedAt.length === 1)
  expect(flushedAt[0]! - beganAt).toBeLessThan(60)
  for (let count = 0; count < 5; count++) {
    update()
    await sleep(2)
  }
  expect(flushedAt).toHaveLength(1)
  await eventually(() => flushedAt.length === 2)
  expect(flushedAt[1]! - flushedAt[0]!).toBeGreaterThan(75)
  loop.stop()
  update()
  loop.stop()
  await sleep(100)
  expect(flushedAt).toHaveLength(2)
})
