import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { until } from './log.conformance.ts'
import { LogUnavailable } from './log.ts'
import { createRedisMutes } from './mutes-redis.ts'
import { mutesConformance } from './mutes.conformance.ts'
import { connectRedis, disconnect, whenReady } from './redis.ts'
import { ownRedis, redisUrl } from './testing-redis.ts'

mutesConformance(async () => {
  const options = { url: redisUrl(), prefix: `test-${randomUUID()}` }
  return { first: createRedisMutes(options), second: createRedisMutes(options) }
})

test('a watcher that was cut off is told that it may have missed something', async () => {
  await using server = await ownRedis()
  const mutes = createRedisMutes({ url: server.url })
  onTestFinished(() => mutes.close())
  const heard: (string | undefined)[] = []
  await mutes.watch((client) => heard.push(client))
  const before = heard.length
  await server.kill()
  await server.start()
  await until(() => heard.length > before)
  expect(heard.at(-1)).toBeUndefined()
})

test('without Redis every call is LogUnavailable within seconds, and a watch ends with its store', async () => {
  const mutes = createRedisMutes({ url: 'redis://127.0.0.1:1' })
  const watching = mutes.watch(() => {})
  await expect(mutes.read('client-1')).rejects.toThrow(LogUnavailable)
  await expect(mutes.change('client-1', [])).rejects.toThrow(LogUnavailable)
  await Promise.all([expect(watching).rejects.toThrow(LogUnavailable), mutes.close()])
})

test('mutes are forgotten after their retention, and garbage counts as none', async () => {
  const prefix = `test-${randomUUID()}`
  const mutes = createRedisMutes({ url: redisUrl(), prefix, retentionMs: 50 })
  const redis = connectRedis(redisUrl(), 'commands')
  onTestFinished(async () => {
    await mutes.close()
    disconnect(redis)
  })
  const rule = { kind: 'position', vehicle: 'v', sensor: '', isMuted: true } as const
  await mutes.change('client-1', [rule])
  await expect.poll(() => mutes.read('client-1')).toEqual([])
  await whenReady(redis)
  for (const garbage of ['{', '5']) {
    await redis.set(`${prefix}:mutes:client-2`, garbage)
    expect(await mutes.read('client-2')).toEqual([])
  }
  expect(await mutes.change('client-2', [rule])).toEqual([true])
})
