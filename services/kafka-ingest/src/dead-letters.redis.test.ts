import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import { createRedisDeadLetters, openRedisDeadLetters } from './dead-letters-redis.ts'
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

test('someone who looks through the list takes letters out, one of several that are equal; what is no letter is passed over', async () => {
  const own = `${key}:shelf`
  const letters = createRedisDeadLetters({ url, key: own, capacity: 10, onLost: () => {} })
  await expect.poll(() => letters.read(1).catch(() => undefined)).toEqual([])
  letters.put([1, 2, 2].map(letter))
  await expect.poll(async () => (await letters.read(10)).length).toBe(3)
  await using shelf = await openRedisDeadLetters(url, own)
  const redis = new Redis(url)
  await redis.rpush(own, 'garbage', '{"reason":"x"}')
  redis.disconnect()
  const offsets = async () => (await shelf.read()).map(({ letter: { offset } }) => offset)
  expect(await offsets()).toEqual([2, 2, 1])
  await shelf.remove((await shelf.read())[0]!)
  expect(await offsets()).toEqual([2, 1])
  await letters.close()
})

test('no more than a thousand letters are on their way; the others are lost, and counted', async () => {
  let lost = 0
  const letters = createRedisDeadLetters({ url, key: `${key}:flood`, capacity: 900, onLost: (n) => (lost += n) })
  await expect.poll(() => letters.read(1).catch(() => undefined)).toEqual([])
  const many = Array.from({ length: 800 }, (_, offset) => letter(offset))
  for (let batch = 0; batch < 3; batch++) letters.put(many)
  expect(lost).toBe(1_400)
  await expect.poll(async () => (await letters.read(2_000)).length).toBe(900)
  await letters.close()
})
