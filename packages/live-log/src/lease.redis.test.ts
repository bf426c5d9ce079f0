import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { createMemoryLease } from './lease-memory.ts'
import { createRedisLease } from './lease-redis.ts'
import { LogUnavailable } from './log.ts'
import { redisUrl } from './testing-redis.ts'

const lessees = (ttlMs = 60_000) => {
  const settings = { url: redisUrl(), prefix: `test-${randomUUID()}`, name: 'work', ttlMs }
  const [first, second] = [createRedisLease(settings), createRedisLease(settings)]
  onTestFinished(async () => {
    await first.close()
    await second.close()
  })
  return { first, second, settings }
}

test('one has it, keeps it, and is told the time; the other one waits until it is given back', async () => {
  const { first, second } = lessees()
  const before = Date.now()
  const time = await first.hold()
  expect(time).toBeGreaterThanOrEqual(before)
  expect(time).toBeLessThanOrEqual(Date.now())
  expect(await second.hold()).toBeUndefined()
  expect(await first.hold()).toBeGreaterThanOrEqual(before)
  await second.release()
  expect(await second.hold()).toBeUndefined()
  await first.release()
  expect(await second.hold()).toBeGreaterThanOrEqual(before)
  expect(await first.hold()).toBeUndefined()
})

test('of many who try at once, one gets it', async () => {
  const { first, second } = lessees()
  const tries = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 ? first : second).hold()))
  expect(tries.filter((time) => time !== undefined)).toHaveLength(10)
})

test('who does not keep it loses it', async () => {
  const { first, second } = lessees(100)
  await first.hold()
  await expect.poll(() => second.hold(), { timeout: 5_000, interval: 10 }).toBeDefined()
  expect(await first.hold()).toBeUndefined()
})

test('leases with different names are different leases', async () => {
  const { first, settings } = lessees()
  const other = createRedisLease({ ...settings, name: 'other' })
  onTestFinished(() => other.close())
  await first.hold()
  expect(await other.hold()).toBeDefined()
})

test('without Redis it is LogUnavailable within seconds', async () => {
  const lease = createRedisLease({ url: 'redis://127.0.0.1:1', name: 'work' })
  onTestFinished(() => lease.close())
  await expect(lease.hold()).rejects.toThrow(LogUnavailable)
  await expect(lease.release()).rejects.toThrow(LogUnavailable)
})

test('the only process there is always has it', async () => {
  const lease = createMemoryLease(() => 7)
  expect(await lease.hold()).toBe(7)
  await lease.release()
  expect(await lease.hold()).toBe(7)
})
