import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { formatBatch, parseBatch, parseState } from './batch.ts'
import { createRedisLog, type RedisLogOptions } from './log-redis.ts'
import { LogUnavailable, type LogWriter } from './log.ts'
import { Picture, anomaly, logConformance, reading, until, vehicleStatus } from './log.conformance.ts'
import { logKeys } from './redis-keys.ts'
import { connectRedis, disconnect, whenReady } from './redis.ts'
import { ownRedis, redisUrl, silenceableProxy } from './testing-redis.ts'

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

const untilAnswering = (log: LogWriter) =>
  expect.poll(() => log.ping().then(() => 'answers', String), { timeout: 15_000 }).toBe('answers')

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
  const entry = { ...picture.entries[0]!, seq: 2, eventTs: 2, json: '{"at":2}' }
  const batch = formatBatch({ epoch: picture.snapshots[0]!.epoch, first: 2, appendedAt: 5, entries: [entry] })
  await redis.xadd(keys.stream, '2-0', 'b', batch)
  await redis.hset(keys.head, 'seq', 2)
  await until(() => picture.head === 2)
  expect(picture.values).toEqual(['{"at":1}', '{"at":2}'])
})

test('a hole that the stream has forgotten gives a new snapshot that says gap', async () => {
  await using server = await ownRedis()
  const { log, redis, follow, keys } = await open({ url: server.url })
  const picture = await follow()
  await log.append([reading(1)])
  await until(() => picture.head === 1)
  await redis.hset(keys.head, 'seq', 9)
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
  const before = await redis.hget(keys.head, 'epoch')
  await redis.hset(keys.head, 'seq', 1)
  await log.append([reading(4)])
  expect(await redis.hget(keys.head, 'epoch')).not.toBe(before)
  expect((await follow()).head).toBe(4)
})

test('nor what a reader was given', async () => {
  const { redis, follow, log, keys } = await open()
  await log.append([reading(1), reading(2), reading(3)])
  const picture = await follow()
  await redis.hset(keys.head, 'seq', 1)
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
  expect(performance.now() - frozenAt).toBeLessThan(3_000)
  server.thaw()
  await until(() => picture.connected.at(-1) === true)
  await log.append([reading(3), anomaly('a')])
  await until(() => picture.values.includes('"a"'))

  await server.kill()
  await expect(log.append([reading(4)])).rejects.toThrow(LogUnavailable)
  await expect(log.ping()).rejects.toThrow(LogUnavailable)
  await server.start()
  const backAt = performance.now()
  await untilAnswering(log)
  await log.append([reading(5)])
  expect(performance.now() - backAt).toBeLessThan(3_000)
  await until(() => picture.values.at(-1) === '{"at":5}')
})

test('a Redis that is full takes nothing, and says so; the log makes room by what it forgets', async () => {
  await using server = await ownRedis()
  const { log, redis } = await open({ url: server.url, recentMs: 1_000 })
  const long = `"${'x'.repeat(2_000)}"`
  for (let at = 0; at < 20; at++)
    await log.append(Array.from({ length: 100 }, (_, index) => reading(at * 100 + index, long)))
  const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  await redis.config('SET', 'maxmemory', used - 1_000_000)
  await expect(log.append([reading(9_000), anomaly('a')])).rejects.toThrow(/Redis refuses: .*OOM/)
  await log.ping()
  const taken = () => log.append([reading(9_000), anomaly('a')]).catch(() => undefined)
  await expect.poll(taken, { timeout: 15_000 }).toEqual({ entries: 2, late: 0, duplicates: 0 })
})

test('a Redis that forgot its scripts gets them again', async () => {
  const { log, redis } = await open()
  await log.append([reading(1)])
  await redis.script('FLUSH')
  expect(await log.append([reading(2)])).toMatchObject({ entries: 1 })
})

test('the stream is bounded in length', async () => {
  const { log, redis, keys } = await open({ maxRecent: 100 })
  for (let at = 0; at < 500; at++) await log.append([reading(at)])
  // Redis trims whole nodes of a hundred batches.
  expect(await redis.xlen(keys.stream)).toBeLessThanOrEqual(200)
})

test('event ids are bounded in number, the oldest go first', async () => {
  const { log } = await open({ maxEventIds: 10 })
  for (let index = 0; index < 20; index++) await log.append([anomaly(`a${index}`)])
  expect(await log.append([anomaly('a19')])).toMatchObject({ duplicates: 1 })
  expect(await log.append([anomaly('a0')])).toMatchObject({ duplicates: 0 })
})

test('the stream forgets what is too old, and the state what nothing arrives for', async () => {
  const { log, redis, keys } = await open({ recentMs: 200, retentionMs: 400 })
  await log.append([reading(1), reading(1, 'p', { kind: 'position', sensor: '' })])
  await log.append([vehicleStatus('online', 'here'), vehicleStatus('offline', 'gone')])
  const busy = setInterval(() => void log.append([reading(2, 'busy')]), 50)
  onTestFinished(() => clearInterval(busy))
  const firstOfStream = async () => (await redis.xrange(keys.stream, '-', '+', 'COUNT', 1))[0]?.[0]
  await expect
    .poll(async () => (await redis.hkeys(keys.state)).toSorted(), { timeout: 10_000 })
    .toEqual(['sensordata\tv\ts', 'vehiclestatus\there\t'])
  expect((await redis.hkeys(keys.times)).toSorted()).toEqual(['sensordata\tv\ts', 'vehiclestatus\there\t'])
  expect(await firstOfStream()).not.toBe('1-0')
})

test('an event id is forgotten after its retention', async () => {
  const { log } = await open({ retentionMs: 50 })
  await log.append([anomaly('a')])
  await expect.poll(async () => (await log.append([anomaly('a')])).entries, { timeout: 5_000, interval: 60 }).toBe(1)
})

test('what the script writes is what the format says', async () => {
  const { log, redis, keys } = await open()
  await log.append([reading(5, '{"a":1}', { statusJson: '{"b":2}' }), reading(4, '{"c":"ä\\t"}'), anomaly('x')])
  const [[id, [, text]]] = (await redis.xrange(keys.stream, '-', '+')) as [[string, [string, string]]]
  const batch = parseBatch(text)
  expect(id).toBe('1-0')
  expect(formatBatch(batch)).toBe(text)
  const state = Object.entries(await redis.hgetall(keys.state)).map(([key, value]) => parseState(key, value))
  expect(state.toSorted((one, other) => one.seq - other.seq)).toEqual(batch.entries.slice(0, 2))
})

test('a long append is made in parts that Redis can digest', async () => {
  const { log, redis, keys } = await open()
  await log.append(Array.from({ length: 1_200 }, (_, at) => reading(at, '"x"')))
  await log.append([reading(2_000, `"${'é'.repeat(20_000)}"`), reading(2_001, `"${'é'.repeat(20_000)}"`)])
  const batches = (await redis.xrange(keys.stream, '-', '+')).map(([, [, text]]) => parseBatch(text!))
  expect(batches.map(({ entries }) => entries.length)).toEqual([500, 500, 200, 1, 1])
})

test('a Redis that crashed may have forgotten what no writer remembers, and never numbers it twice', async () => {
  await using server = await ownRedis()
  const { log: survivor, redis, follow, settings } = await open({ url: server.url })
  await survivor.append([reading(1), reading(2)])
  await redis.save()
  const dying = createRedisLog(settings)
  const before = new Picture()
  await dying.follow(before)
  await dying.append([reading(3, 'lost'), reading(4, 'lost')])
  await until(() => before.head === 4)
  await dying.close()
  await server.kill()
  await server.start()
  await untilAnswering(survivor)
  await survivor.append([reading(3, 'new'), reading(4, 'new'), reading(5, 'new')])
  const after = await follow()
  expect(after.head).toBe(5)
  expect(after.snapshots[0]!.epoch).not.toBe(before.snapshots[0]!.epoch)
})

test('a reader converges with a Redis that came back with an older memory', async () => {
  await using server = await ownRedis()
  const { log, redis, follow } = await open({ url: server.url })
  const picture = await follow()
  await log.append([reading(1), reading(2)])
  await redis.save()
  await log.append([reading(3), reading(9, 'only the reader knows', { vehicle: 'w' })])
  await until(() => picture.head === 4)
  await server.kill()
  await server.start()
  await untilAnswering(log)
  await log.append([reading(3, 'again')])
  await until(() => picture.state.get('sensordata\tv\ts')?.json === 'again')
  expect(picture.snapshots.at(-1)).toMatchObject({ reason: 'epoch' })
  expect([...picture.state.keys()]).toEqual(['sensordata\tv\ts'])
})

test('a Redis that lost only the head of the log begins it anew', async () => {
  const { log, redis, follow, keys } = await open()
  await log.append([reading(1), reading(2)])
  const picture = await follow()
  await redis.del(keys.head)
  await log.append([reading(1)])
  await until(() => picture.snapshots.length === 2)
  expect(picture.snapshots[1]).toMatchObject({ reason: 'epoch', head: 1, state: [{ seq: 1, eventTs: 1 }] })
})

test('what a version without append times left in Redis is read, and goes on with them', async () => {
  const { log, redis, follow, keys } = await open()
  const old = ['e0\t1\t2\nNposition\tv\t\t7\tp\nNsensordata\tv\ts\t7\td', 'e0\t3\t1\nNposition\tw\t\t7\tp']
  await redis.hset(keys.head, { epoch: 'e0', seq: 3 })
  await redis.hset(keys.times, { 'position\tv\t': 7, 'sensordata\tv\ts': 7, 'position\tw\t': 7 })
  await redis.hset(keys.state, {
    'position\tv\t': '1\t7\tp',
    'sensordata\tv\ts': '2\t7\td',
    'position\tw\t': '3\t7\tp',
  })
  await redis.xadd(keys.stream, '1-0', 'b', old[0]!)
  await redis.xadd(keys.stream, '3-0', 'b', old[1]!)
  const picture = await follow()
  await log.append([reading(8, 'new', { vehicle: 'w' })])
  await until(() => picture.head === 4)
  expect(picture.entries.map(({ json, appendedAt }) => [json, appendedAt > 0])).toEqual([
    ['p', false],
    ['d', false],
    ['p', false],
    ['new', true],
  ])
  const { state } = (await follow()).snapshots[0]!
  expect(state.map(({ json, appendedAt }) => [json, appendedAt > 0])).toEqual([
    ['p', false],
    ['d', false],
    ['p', false],
    ['new', true],
  ])
})

test('garbage in the stream and in the state costs a snapshot and nothing else', async () => {
  const errors: Error[] = []
  const { log, redis, follow, keys } = await open({ onError: (error) => errors.push(error) })
  await log.append([reading(1)])
  const picture = await follow()
  await redis.xadd(keys.stream, '1-1', 'b', 'garbage')
  await redis.hset(keys.state, 'garbage', 'garbage')
  await redis.hset(keys.head, 'seq', 2)
  await log.append([reading(2)])
  await until(() => picture.head === 3)
  expect(picture.snapshots[1]).toMatchObject({ reason: 'gap', head: 3, recent: [{ seq: 3 }] })
  expect(new Set(errors.map(({ name }) => name))).toEqual(new Set(['MalformedBatch']))
})

test('a subscription that went silent is noticed, and replaced', async () => {
  await using server = await ownRedis()
  await using proxy = await silenceableProxy(Number(new URL(server.url).port))
  const { log } = await open({ url: server.url, prefix: 'silent' })
  const far = createRedisLog({ url: proxy.url, prefix: 'silent' })
  onTestFinished(() => far.close())
  const picture = new Picture()
  await far.follow(picture)
  proxy.silenceSubscriptions()
  let at = 0
  // Nothing is said on the old connection any more, so what arrives without a check came over a new one.
  await expect
    .poll(
      async () => {
        await log.append([reading(++at)])
        return proxy.connections
      },
      { timeout: 15_000, interval: 100 },
    )
    .toBe(3)
  await until(() => picture.head === at)
  expect(picture.snapshots).toHaveLength(1)
})

test('a connection that went silent with an answer owed is replaced', async () => {
  await using server = await ownRedis()
  await using proxy = await silenceableProxy(Number(new URL(server.url).port))
  const log = createRedisLog({ url: proxy.url })
  onTestFinished(() => log.close())
  await log.append([reading(1)])
  proxy.silence()
  await expect(log.append([reading(2)])).rejects.toThrow(LogUnavailable)
  await untilAnswering(log)
  expect(await log.append([reading(3)])).toMatchObject({ entries: 1 })
})

test('a reader that waits for a Redis that is away ends with the log', async () => {
  const log = createRedisLog({ url: 'redis://127.0.0.1:1' })
  const following = log.follow(new Picture())
  await Promise.all([expect(following).rejects.toThrow(LogUnavailable), log.close()])
})

test('a reader that came before Redis starts with it', async () => {
  await using server = await ownRedis()
  await server.kill()
  const log = createRedisLog({ url: server.url })
  onTestFinished(() => log.close())
  const picture = new Picture()
  const following = log.follow(picture)
  await expect(log.append([reading(1)])).rejects.toThrow(LogUnavailable)
  await server.start()
  await following
  await untilAnswering(log)
  await log.append([reading(2)])
  await until(() => picture.head === 1)
  expect(picture.snapshots).toHaveLength(1)
})
