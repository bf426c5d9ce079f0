import type { Draft } from '@flasktoria/live-log/log'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { AppendQueue } from './append-queue.ts'

const draft = (vehicle: string): Draft => ({ kind: 'position', vehicle, sensor: '', eventTs: 1, json: '{}' })

function createLog() {
  const appends: string[][] = []
  const answers: PromiseWithResolvers<void>[] = []
  const append = (drafts: readonly Draft[]) => {
    appends.push(drafts.map(({ vehicle }) => vehicle))
    const answer = Promise.withResolvers<void>()
    answers.push(answer)
    return answer.promise
  }
  return { appends, answers, append }
}

test('the first append is made at once, those that come during it together and in order', async () => {
  const { appends, answers, append } = createLog()
  const queue = new AppendQueue(append, 0)
  const first = queue.append([draft('a')])
  const others = [queue.append([draft('b'), draft('c')]), queue.append([draft('d')])]
  expect(appends).toEqual([['a']])
  answers[0]!.resolve()
  await first
  await setImmediate()
  expect(appends).toEqual([['a'], ['b', 'c', 'd']])
  answers[1]!.resolve()
  await Promise.all(others)
})

test('the next append waits its time, unless much has come', async () => {
  const { appends, answers, append } = createLog()
  const queue = new AppendQueue(append, 60_000)
  const first = queue.append([draft('a')])
  answers[0]!.resolve()
  await first
  void queue.append(Array.from({ length: 500 }, (_, index) => draft(`b${index}`)))
  await setImmediate()
  expect(appends.map(({ length }) => length)).toEqual([1, 500])
})

test('an append that fails fails for all that were in it, and the queue goes on', async () => {
  const { answers, append } = createLog()
  const queue = new AppendQueue(append, 0)
  const [one, two] = [queue.append([draft('a')]), queue.append([draft('b')])]
  const trouble = new Error('the log is away')
  answers[0]!.reject(trouble)
  await expect(one).rejects.toBe(trouble)
  await setImmediate()
  answers[1]!.resolve()
  await two
})
