import { connectRedis, disconnect, whenReady, type Redis } from '@flasktoria/live-log/redis'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Chance } from './crash-loop/chance.ts'
import { joinsOf, measureRecovery, untilIngestsSay, untilWritten } from './crash-loop/outage.ts'
import { openScene, type Scene } from './crash-loop/scene.ts'
import { openSwitch } from './crash-loop/switch.ts'
import { freePort } from './servers/daemon.ts'
import { say } from './servers/run.ts'

/** Far more than it takes: the machine has other work to do. */
const deadlineMs = 10_000
const dir = mkdtempSync(join(tmpdir(), 'flasktoria-redis-outages-'))
const parts = new AsyncDisposableStack()
let scene: Scene
let address: Awaited<ReturnType<typeof openSwitch>>

beforeAll(async () => {
  const redisPort = await freePort()
  address = parts.use(await openSwitch(redisPort))
  const redisUrl = `redis://127.0.0.1:${address.port}`
  scene = parts.use(await openScene({ dir, sessionTimeoutMs: 6_000, redisPort, redisUrl, chance: new Chance(1) }))
  await untilWritten(scene, 1)
})
afterAll(async () => {
  await parts.disposeAsync()
  rmSync(dir, { recursive: true, force: true })
})

async function ask<T>(question: (redis: Redis) => Promise<T>, port = address.port): Promise<T> {
  const redis = connectRedis(`redis://127.0.0.1:${port}`, 'commands')
  try {
    await whenReady(redis, 5_000)
    return await question(redis)
  } finally {
    disconnect(redis)
  }
}

/** How often the ingests joined, the log began anew, and a client was told of a gap. */
const standing = async () => ({
  joins: await joinsOf(scene),
  epochs: scene.reader.witness.epochs.length,
  gaps: scene.client.gaps(),
})
type Standing = Awaited<ReturnType<typeof standing>>

/** Redis is back from now on: how soon is everything else? And nobody left the group meanwhile. Gives the slowest, ms. */
async function recovery(what: string, { joins, epochs, gaps }: Standing, { isNewLog }: { isNewLog: boolean }) {
  const times = await measureRecovery(scene)
  say(`${what}: ${JSON.stringify(times)}`)
  const more = Number(isNewLog)
  expect(await standing()).toEqual({ joins, epochs: epochs + more, gaps: gaps + more })
  return Math.max(...Object.values(times))
}
const hubSays = async () => (await scene.rig.hub.readiness()).checks['log']

test('Redis refuses connections', async () => {
  const before = await standing()
  await scene.rig.redis.kill()
  await untilIngestsSay(scene, 'log', /^Redis does not answer: /)
  await expect.poll(hubSays, { timeout: deadlineMs }).toBe('the live log is away')
  await scene.rig.redis.start()
  expect(await recovery('Redis refused connections', before, { isNewLog: true })).toBeLessThan(deadlineMs)
})

test('Redis is frozen', async () => {
  const before = await standing()
  scene.rig.redis.freeze()
  await untilIngestsSay(scene, 'log', /^Redis does not answer: /)
  await expect.poll(hubSays, { timeout: deadlineMs }).toBe('the live log is away')
  scene.rig.redis.thaw()
  expect(await recovery('Redis was frozen', before, { isNewLog: false })).toBeLessThan(deadlineMs)
})

test('Redis is full', async () => {
  const before = await standing()
  await ask((redis) => redis.config('SET', 'maxmemory', '1mb'))
  expect(await untilIngestsSay(scene, 'log', /^Redis refuses: .*OOM/)).toBe(true)
  await ask((redis) => redis.config('SET', 'maxmemory', '0'))
  expect(await recovery('Redis was full', before, { isNewLog: false })).toBeLessThan(deadlineMs)
})

test('Redis comes back empty', async () => {
  const before = await standing()
  await scene.rig.redis.kill()
  await scene.ledger.close(scene.rig.redis, true)
  scene.rig.redis.forget()
  await scene.rig.redis.start()
  expect(await recovery('Redis came back empty', before, { isNewLog: true })).toBeLessThan(deadlineMs)
})

test('in the end nothing was lost, nothing came twice, and nothing older was shown after something newer', async () => {
  const { faults, ...report } = await scene.end()
  say(JSON.stringify(report))
  expect(faults).toEqual([])
})
