import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { maxFeedInstances } from './feed.ts'
import { createRedisFeeds } from './feeds-redis.ts'
import { feedOf, feedsConformance } from './feeds.conformance.ts'
import { LogUnavailable } from './log.ts'
import { logKeys } from './redis-keys.ts'
import { connectRedis, disconnect, whenReady } from './redis.ts'
import { redisUrl } from './testing-redis.ts'

feedsConformance(async (options) => {
  const settings = { url: redisUrl(), prefix: `test-${randomUUID()}`, ...options }
  return { first: createRedisFeeds(settings), second: createRedisFeeds(settings) }
})

async function open(retentionMs?: number) {
  const prefix = `test-${randomUUID()}`
  const feeds = createRedisFeeds({ url: redisUrl(), prefix, ...(retentionMs && { retentionMs }) })
  const redis = connectRedis(redisUrl(), 'commands')
  await whenReady(redis)
  onTestFinished(async () => {
    await feeds.close()
    disconnect(redis)
  })
  return { feeds, redis, key: logKeys(prefix).feeds }
}

test('what is not a report is passed over, and removed by the next one', async () => {
  const { feeds, redis, key } = await open()
  await feeds.report(feedOf('a'))
  const now = Date.now()
  const garbage = {
    words: 'garbage',
    empty: '',
    binary: Buffer.from([0xff, 0xfe, 0x00]),
    early: `0\t${JSON.stringify(feedOf('early'))}`,
    noTime: JSON.stringify(feedOf('noTime')),
    notJson: `${now}\t{`,
    nullJson: `${now}\tnull`,
    text: `${now}\t${JSON.stringify({ ...feedOf('text'), kafkaLagMs: '7' })}`,
    missing: `${now}\t{"instance":"missing"}`,
    negative: `${now}\t${JSON.stringify(feedOf('negative', { kafkaLagMs: -1 }))}`,
    long: `${now}\t${JSON.stringify(feedOf('x'.repeat(10_000)))}`,
  }
  await redis.hset(key, garbage)
  expect((await feeds.read()).map(({ instance }) => instance)).toEqual(['a'])
  await feeds.report(feedOf('b'))
  expect(await redis.hkeys(key)).not.toEqual(expect.arrayContaining(['words', 'empty', 'binary', 'early', 'noTime']))
})

test('a hash that somebody filled up is emptied, and nobody has to read it', async () => {
  const { feeds, redis, key } = await open()
  const many = Array.from({ length: maxFeedInstances + 1 }, (_, index) => [`i${index}`, `${Date.now()}\t{}`])
  await redis.hset(key, Object.fromEntries(many))
  expect(await feeds.read()).toEqual([])
  await feeds.report(feedOf('a'))
  expect((await feeds.read()).map(({ instance }) => instance)).toEqual(['a'])
})

test('nothing is left in Redis when nobody reports any more', async () => {
  const { feeds, redis, key } = await open(50)
  await feeds.report(feedOf('a'))
  await expect.poll(() => redis.exists(key), { timeout: 5_000 }).toBe(0)
})

test('without Redis every call is LogUnavailable within seconds', async () => {
  const feeds = createRedisFeeds({ url: 'redis://127.0.0.1:1' })
  onTestFinished(() => feeds.close())
  await expect(feeds.read()).rejects.toThrow(LogUnavailable)
  await expect(feeds.report(feedOf('a'))).rejects.toThrow(LogUnavailable)
})
