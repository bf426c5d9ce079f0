import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findDaemon, freePort } from './daemon.ts'
import { answersPing, startRedis } from './redis.ts'

let dir: string
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'flasktoria-redis-'))))
afterEach(async () => {
  await findDaemon({ dir, name: 'redis' })?.kill()
  rmSync(dir, { recursive: true, force: true })
})

test.each([
  [true, 'Main'],
  [false, null],
])('a Redis that is persistent: %s, and died, answers %s for what it was told', async (isPersistent, remembered) => {
  const place = { dir, port: await freePort(), isPersistent }
  const first = await startRedis(place)
  const before = new Redis(first.url)
  await before.set('street', 'Main')
  before.disconnect()
  await first.kill()
  expect(await answersPing(place.port)).toBe(false)
  const after = new Redis((await startRedis(place)).url)
  expect(await after.get('street')).toBe(remembered)
  after.disconnect()
})
