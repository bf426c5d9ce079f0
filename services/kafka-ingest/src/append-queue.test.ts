import { setTimeout as delay } from 'node:timers/promises'
import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { expect, test } from 'vitest'
import { AppendQueue } from './append-queue.ts'
import { sensorProfile } from './built-in-profiles.ts'
import { Gathering } from './gathering.ts'
import { createTransform } from './transform.ts'

const transform = createTransform({ sensors: defaultSensors, anomalies: defaultAnomalies })
const raw = { topic: 't', profile: sensorProfile, partition: 0, offset: 0, value: null, timestamp: 0 }
const idle = new AbortController().signal

/** A queue to a log that takes what it gets when the test says so. */
function createQueue(intervalMs: number) {
  const appends: string[][] = []
  let answer = Promise.withResolvers<void>()
  const append = async (gathering: Gathering, signal: AbortSignal) => {
    signal.throwIfAborted()
    appends.push(Array.from(gathering.drafts(), ({ vehicle }) => vehicle))
    await Promise.race([answer.promise, new Promise((_, reject) => signal.addEventListener('abort', reject))])
  }
  const queue = new AppendQueue(() => new Gathering(transform), append, intervalMs)
  const bring = (vehicles: readonly string[], signal = idle) => {
    for (const vehicle of vehicles) queue.gathering.add({ kind: 'fix', vehicle, ts: 1, lat: 1, long: 1, text: '' }, raw)
    return queue.appended(signal)
  }
  const settle = (how: (it: PromiseWithResolvers<void>) => void) => {
    const { promise } = answer
    how(answer)
    answer = Promise.withResolvers()
    return promise.catch(() => {})
  }
  return { bring, appends, settle }
}
const many = Array.from({ length: 500 }, (_, index) => `v${index}`)

test('what comes at once is appended together and in order, what comes during an append after it', async () => {
  const { bring, appends, settle } = createQueue(0)
  const first = [bring(['a', 'b']), bring(['c'])]
  await expect.poll(() => appends).toEqual([['a', 'b', 'c']])
  const second = bring(['d'])
  await settle(({ resolve }) => resolve())
  await Promise.all(first)
  await expect.poll(() => appends).toEqual([['a', 'b', 'c'], ['d']])
  await settle(({ resolve }) => resolve())
  await second
})

test('who brings little is held for the interval, who brings much is not, and nothing that comes waits', async () => {
  const { bring, appends, settle } = createQueue(60_000)
  let isHeld = true
  void bring(['a']).then(() => (isHeld = false))
  await expect.poll(() => appends.length).toBe(1)
  await settle(({ resolve }) => resolve())
  const much = bring(many)
  await expect.poll(() => appends.map(({ length }) => length)).toEqual([1, 500])
  await settle(({ resolve }) => resolve())
  await much
  await delay(20)
  expect(isHeld).toBe(true)
})

test('an append that fails fails at once for all that were in it, and the queue goes on', async () => {
  const { bring, appends, settle } = createQueue(60_000)
  const reason = new Error('the log is away')
  const outcomes = Promise.allSettled([bring(['a']), bring(['b'])])
  await expect.poll(() => appends.length).toBe(1)
  await settle(({ reject }) => reject(reason))
  expect(await outcomes).toEqual([
    { status: 'rejected', reason },
    { status: 'rejected', reason },
  ])
  const next = bring(many)
  await expect.poll(() => appends.length).toBe(2)
  await settle(({ resolve }) => resolve())
  await next
})

test('an append is given up when the last one who waits for it leaves, and what comes then is not harmed', async () => {
  const { bring, appends, settle } = createQueue(0)
  const [one, other] = [new AbortController(), new AbortController()]
  const outcomes = Promise.allSettled([bring(['a'], one.signal), bring(['b'], other.signal)])
  await expect.poll(() => appends).toEqual([['a', 'b']])
  one.abort()
  await delay(10)
  const next = bring(['c'])
  await delay(10)
  expect(appends).toHaveLength(1)
  other.abort()
  await expect.poll(() => appends).toEqual([['a', 'b'], ['c']])
  await settle(({ resolve }) => resolve())
  await next
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
})

test('who comes to a lot that others have left is served', async () => {
  const { bring, appends, settle } = createQueue(0)
  const gone = new AbortController()
  const left = bring(['a'], gone.signal)
  gone.abort()
  const stays = bring(['b'])
  await expect(left).rejects.toThrow('aborted')
  await expect.poll(() => appends).toEqual([['a', 'b']])
  await settle(({ resolve }) => resolve())
  await stays
})
