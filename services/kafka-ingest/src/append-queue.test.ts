import type { Draft } from '@flasktoria/live-log/log'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { AppendQueue } from './append-queue.ts'

const draft = (vehicle: string): Draft => ({ kind: 'position', vehicle, sensor: '', eventTs: 1, json: '{}' })
const drafts = (count: number) => Array.from({ length: count }, (_, index) => draft(`v${index}`))

/** Takes what it gets when the test says so. */
function createLog() {
  const appends: string[][] = []
  let answer = Promise.withResolvers<void>()
  const append = async (some: readonly Draft[]) => {
    appends.push(some.map(({ vehicle }) => vehicle))
    await answer.promise
  }
  const settle = (how: (it: PromiseWithResolvers<void>) => void) => {
    const { promise } = answer
    how(answer)
    answer = Promise.withResolvers()
    return promise.catch(() => {})
  }
  return { appends, append, settle }
}

test('what comes at once is appended together and in order, what comes during an append after it', async () => {
  const { appends, append, settle } = createLog()
  const queue = new AppendQueue(append, 0)
  const first = [queue.append([draft('a'), draft('b')]), queue.append([draft('c')])]
  await expect.poll(() => appends).toEqual([['a', 'b', 'c']])
  const second = queue.append([draft('d')])
  await settle(({ resolve }) => resolve())
  await Promise.all(first)
  await expect.poll(() => appends).toEqual([['a', 'b', 'c'], ['d']])
  await settle(({ resolve }) => resolve())
  await second
})

test('who brings little is held for the interval, who brings much is not, and nothing that comes waits', async () => {
  const { appends, append, settle } = createLog()
  const queue = new AppendQueue(append, 60_000)
  let isHeld = true
  void queue.append([draft('a')]).then(() => (isHeld = false))
  await expect.poll(() => appends.length).toBe(1)
  await settle(({ resolve }) => resolve())
  const much = queue.append(drafts(500))
  await expect.poll(() => appends.map(({ length }) => length)).toEqual([1, 500])
  await settle(({ resolve }) => resolve())
  await much
  await delay(20)
  expect(isHeld).toBe(true)
})

test('an append that fails fails at once for all that were in it, and the queue goes on', async () => {
  const { appends, append, settle } = createLog()
  const queue = new AppendQueue(append, 60_000)
  const reason = new Error('the log is away')
  const outcomes = Promise.allSettled([queue.append([draft('a')]), queue.append([draft('b')])])
  await expect.poll(() => appends.length).toBe(1)
  await settle(({ reject }) => reject(reason))
  expect(await outcomes).toEqual([
    { status: 'rejected', reason },
    { status: 'rejected', reason },
  ])
  const next = queue.append(drafts(500))
  await expect.poll(() => appends.length).toBe(2)
  await settle(({ resolve }) => resolve())
  await next
})
