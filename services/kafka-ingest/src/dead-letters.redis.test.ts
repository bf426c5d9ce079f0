import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { createRedisDeadLetters } from './dead-letters-redis.ts'
import { deadLetter } from './dead-letters.ts'

const url = process.env['REDIS_URL']
if (!url) throw new Error('REDIS_URL names no Redis; npm test starts one')

const key = `test:${Math.random().toString(36).slice(2)}:dead-letters`
const letter = (offset: number) =>
  deadLetter(
    { topic: 't', profile: sensorProfile, partition: 0, offset, value: Buffer.from('x'), timestamp: 0 },
    'malformed',
    0,
  )

test('the newest are kept in Redis, newest first, shared by all instances', async () => {
  const lost: number[] = []
  const open = () => createRedisDeadLetters({ url, key, capacity: 3, onLost: (letters) => lost.push(letters) })
  const [a, b] = [open(), open()]
  await expect.poll(() => a.read(1).catch(() => undefined)).toEqual([])
  await expect.poll(() => b.read(1).catch(() => undefined)).toEqual([])
  a.put([1, 2].map(letter))
  await expect.poll(async () => (await b.read(10)).length).toBe(2)
  b.put([3, 4, 5, 6, 7].map(letter))
  await expect.poll(async () => (await a.read(10)).map(({ offset }) => offset)).toEqual([7, 6, 5])
  expect(lost).toEqual([])
  await Promise.all([a.close(), b.close()])
})

test('without Redis the letters are lost, and counted, and nobody waits', async () => {
  const lost: number[] = []
  const letters = createRedisDeadLetters({ url: 'redis://127.0.0.1:1', key, capacity: 3, onLost: (n) => lost.push(n) })
  letters.put([1, 2].map(letter))
  await expect.poll(() => lost).toEqual([2])
  await letters.close()
})
