import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { createRedisLog, type RedisLogOptions } from './log-redis.ts'
import { LogUnavailable } from './log.ts'
import { Picture, anomaly, logConformance, reading, until } from './log.conformance.ts'
import { logKeys } from './redis-keys.ts'
import { connectRedis, disconnect, whenReady } from './redis.ts'
import { ownRedis, redisUrl } from './testing-redis.ts'

const freshPrefix = () => `test-${randomUUID()}`

logConformance(async () => {
  const options = { url: redisUrl(), prefix: freshPrefix() }
  return { first: createRedisLog(options), second: createRedisLog(options) }
})

async function open(options: Partial<RedisLogOptions> = {}) {
  const settings = { url: redisUrl(), prefix: freshPrefix(), ...options }
  const log = createRedisLog(settings)
  const redis = connectRedis(settings.url, 'commands')
  await whenReady(redis)
  onTestFinished(async () => {
    await log.close()
    disconnect(redis)
  })
  const follow = async () => {
    const picture = new Picture()
    const follower = await log.follow(picture)
    onTestFinished(() => follower.close())
    return picture
  }
  return { log, redis, follow, settings, keys: logKeys(settings.prefix) }
}

const cutSubscribers = (redis: ReturnType<typeof connectRedis>) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')

test('what a cut subscription missed is healed from the stream', async () => {
  await using server = await ownRedis()
  const { log, redis, follow } = await open({ url: server.url })
  const picture = await follow()
  for (let at = 1; at <= 50; at++) {
    await log.append([reading(at)])
    if (at % 10 === 0) await cutSubscribers(redis)
  }
  await until(() => picture.head === 50)
  expect(picture.snapshots).toHaveLength(1)
  expect(picture.entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
})

test('a lost last batch is noticed without a next one', async () => {
  const { log, redis, follow, keys } = await open()
  const picture = await follow()
  await log.append([reading(1)])
  await until(() => picture.head === 1)
  // A batch in the stream and in the seq, of which nobody was told.
  await redis.xadd(keys.stream, '*', 'b', `${picture.snapshots[0]!.epoch}\t2\t1\nNsensordata\tv\ts\t2\t{"at":2}`)
  await redis.set(keys.seq, 2)
  await until(() => picture.head === 2)
  expect(picture.values).toEqual(['{"at":1}', '{"at":2}'])
})

test('a hole that the stream has forgotten gives a new snapshot that says gap', async () => {
  await using server = await ownRedis()
  const { log, redis, follow, keys } = await open({ url: server.url })
  const picture = await follow()
  await log.append([reading(1)])
  await until(() => picture.head === 1)
  await redis.set(keys.seq, 9)
  await redis.xtrim(keys.stream, 'MAXLEN', 0)
  await log.append([reading(2)])
  await until(() => picture.snapshots.length === 2)
  expect(picture.snapshots[1]).toMatchObject({ reason: 'gap', head: 10 })
})

test('garbage on the channel is counted and harms nobody', async () => {
  const errors: Error[] = []
  const { log, redis, follow, keys } = await open({ onError: (error) => errors.push(error) })
  const picture = await follow()
  await redis.publish(keys.channel, 'garbage')
  await log.append([reading(1)])
  await until(() => picture.head === 1)
  expect(errors.map(({ name }) => name)).toEqual(['MalformedBatch'])
})

test('a Redis that lost its memory gives readers a new epoch', async () => {
  const { log, redis, follow, keys } = await open()
  const picture = await follow()
  await log.append([reading(1), reading(2)])
  await until(() => picture.head === 2)
  await redis.del(...Object.values(keys))
  await log.append([reading(3)])
  await until(() => picture.snapshots.length === 2)
  expect(picture.snapshots[1]).toMatchObject({ reason: 'epoch', head: 1 })
  expect(picture.snapshots[1]!.epoch).not.toBe(picture.snapshots[0]!.epoch)
})

test('a Redis that restarts empty gives readers a new epoch though nobody appends', async () => {
  await using server = await ownRedis()
  const { log, follow } = await open({ url: server.url })
  const picture = await follow()
  await log.append([reading(1)])
  await until(() => picture.head === 1)
  await server.kill()
  await until(() => picture.connected.at(-1) === false)
  await server.start()
  await until(() => picture.snapshots.length === 2)
  expect(picture.snapshots[1]).toMatchObject({ reason: 'epoch', head: 0, state: [] })
  await log.append([reading(2)])
  await until(() => picture.head === 1)
  expect(picture.connected.at(-1)).toBe(true)
})

test('a Redis that comes back with an older memory never numbers twice what a writer was given', async () => {
  const { log, redis, follow, keys } = await open()
  await log.append([reading(1), reading(2), reading(3)])
  const before = await redis.get(keys.epoch)
  await redis.set(keys.seq, 1)
  await log.append([reading(4)])
  expect(await redis.get(keys.epoch)).not.toBe(before)
  expect((await follow()).head).toBe(4)
})

test('nor what a reader was given', async () => {
  const { redis, follow, log, keys } = await open()
  await log.append([reading(1), reading(2), reading(3)])
  const picture = await follow()
  await redis.set(keys.seq, 1)
  await until(() => picture.snapshots.length === 2)
  expect(picture.snapshots[1]).toMatchObject({ reason: 'epoch', head: 3 })
})

test('a Redis that is gone or frozen is LogUnavailable within seconds, and all goes on after it', async () => {
  await using server = await ownRedis()
  const { log, follow } = await open({ url: server.url })
  const picture = await follow()
  await log.append([reading(1)])

  server.freeze()
  const frozenAt = performance.now()
  await expect(log.append([reading(2)])).rejects.toThrow(LogUnavailable)
  expect(performance.now() - frozenAt).toBeLessThan(4_000)
  server.thaw()
  await until(() => picture.connected.at(-1) === true)
  await log.append([reading(3), anomaly('a')])
  await until(() => picture.values.includes('"a"'))

  await server.kill()
  await expect(log.append([reading(4)])).rejects.toThrow(LogUnavailable)
  await expect(log.ping()).rejects.toThrow(LogUnavailable)
  await server.start()
  await expect
    .poll(
      () =>
        log.ping().then(
          () => true,
          () => false,
        ),
      { timeout: 5_000 },
    )
    .toBe(true)
  await log.append([reading(5)])
  await until(() => picture.values.at(-1) === '{"at":5}')
})

test('a Redis that forgot its scripts gets them again', async () => {
  const { log, redis } = await open()
  await log.append([reading(1)])
  await redis.script('FLUSH')
  expect(await log.append([reading(2)])).toMatchObject({ entries: 1 })
})

test('the stream is bounded in length', async () => {
  const { log, redis, keys } = await open({ maxRecentBatches: 100 })
  for (let at = 0; at < 500; at++) await log.append([reading(at)])
  // Redis trims whole nodes of a hundred.
  expect(await redis.xlen(keys.stream)).toBeLessThanOrEqual(200)
})

test('event ids are bounded in number, the oldest go first', async () => {
  const { log } = await open({ maxEventIds: 10 })
  for (let index = 0; index < 20; index++) await log.append([anomaly(`a${index}`)])
  expect(await log.append([anomaly('a19')])).toMatchObject({ duplicates: 1 })
  expect(await log.append([anomaly('a0')])).toMatchObject({ duplicates: 0 })
})
