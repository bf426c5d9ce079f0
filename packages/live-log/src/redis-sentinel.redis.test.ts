import { Redis } from 'ioredis'
import { expect, test, vi, type TestContext } from 'vitest'
import { createRedisLog } from './log-redis.ts'
import { Picture, reading, until } from './log.conformance.ts'
import { ownRedis, ownSentinel } from './testing-redis.ts'

vi.setConfig({ testTimeout: 60_000 })

/** A primary, its replica, a Sentinel over both, and a log that knows nothing but the Sentinel. */
async function openWorld({ onTestFinished }: TestContext) {
  const parts = new AsyncDisposableStack()
  onTestFinished(() => parts.disposeAsync())
  const [primary, replica] = [parts.use(await ownRedis()), parts.use(await ownRedis())]
  const ask = parts.adopt(new Redis(replica.url), (it) => it.disconnect())
  await ask.replicaof('127.0.0.1', new URL(primary.url).port)
  await expect.poll(() => ask.info('replication'), { timeout: 15_000 }).toContain('master_link_status:up')
  const sentinel = parts.use(await ownSentinel(primary.url))
  const watch = parts.adopt(new Redis(sentinel.url.replace('?master=fleet', '')), (it) => it.disconnect())
  await expect
    .poll(async () => String(await watch.call('SENTINEL', 'REPLICAS', 'fleet')), { timeout: 15_000 })
    .toContain('slave')
  const log = createRedisLog({ url: sentinel.url })
  parts.defer(() => log.close())
  const picture = new Picture()
  await log.follow(picture)
  let at = 0
  /** True when the log took it. */
  const append = async () => {
    const taken = await log.append([reading(++at, `${at}`)]).catch(() => undefined)
    return taken !== undefined
  }
  return { primary, ask, picture, append, newest: () => `${at}` }
}

test('when the primary dies, writers and readers go on with the one that the Sentinel makes of its replica', async (context) => {
  const { primary, ask, picture, append, newest } = await openWorld(context)
  expect(await append()).toBe(true)
  await until(() => picture.values.at(-1) === newest())
  await primary.kill()
  await expect.poll(append, { timeout: 20_000 }).toBe(true)
  await until(() => picture.values.at(-1) === newest())
  expect(await ask.role()).toContain('master')
  expect(picture.snapshots.map(({ reason }) => reason)).toEqual(['start', 'epoch'])
})

test('one that was only frozen is left by everybody, and changes nothing when it wakes up', async (context) => {
  const { primary, picture, append, newest } = await openWorld(context)
  expect(await append()).toBe(true)
  primary.freeze()
  await expect.poll(append, { timeout: 20_000 }).toBe(true)
  primary.thaw()
  for (let count = 0; count < 20; count++) expect(await append()).toBe(true)
  await until(() => picture.values.at(-1) === newest())
  expect(picture.snapshots.map(({ reason }) => reason)).toEqual(['start', 'epoch'])
})
