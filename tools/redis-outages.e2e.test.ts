import { connectRedis, disconnect, whenReady, type Redis } from '@flasktoria/live-log/redis'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Chance } from './crash-loop/chance.ts'
import { joinsOf, measureRecovery, untilIngestsSay, untilWritten } from './crash-loop/outage.ts'
import { openScene, type Scene } from './crash-loop/scene.ts'
import { openSwitch } from './crash-loop/switch.ts'
import { freePort } from './servers/daemon.ts'
import { startRedis } from './servers/redis.ts'
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

test('a replica takes over: the primary is dead, or still there and only a replica by now', async () => {
  const standby = { dir: join(dir, 'standby'), port: await freePort(), isPersistent: true }
  const replica = await startRedis(standby)
  onTestFinished(() => replica.kill())
  const primaryPort = Number(new URL(scene.rig.redis.url).port)
  const follow = (port: number, of: number) =>
    ask(
      (redis) => redis.config('SET', 'repl-diskless-sync-delay', '0').then(() => redis.replicaof('127.0.0.1', of)),
      port,
    )
  const isInSync = (port: number) =>
    ask((redis) => redis.info('replication'), port).then((info) => /link_status:up/.test(info))
  await ask((redis) => redis.config('SET', 'repl-diskless-sync-delay', '0'), primaryPort)
  await follow(standby.port, primaryPort)
  await expect.poll(() => isInSync(standby.port), { timeout: 30_000 }).toBe(true)

  const before = await standing()
  await scene.rig.redis.kill()
  await ask((redis) => redis.replicaof('NO', 'ONE'), standby.port)
  address.turnTo(standby.port)
  expect(await recovery('a replica was promoted', before, { isNewLog: true })).toBeLessThan(deadlineMs)

  await scene.rig.redis.start()
  await follow(primaryPort, standby.port)
  await expect.poll(() => isInSync(primaryPort), { timeout: 30_000 }).toBe(true)
  const promoted = await standing()
  address.turnTo(primaryPort)
  await ask((redis) => redis.call('FAILOVER', 'TO', '127.0.0.1', primaryPort), standby.port)
  expect(
    await recovery('the old primary was promoted again, and the other one lives', promoted, { isNewLog: true }),
  ).toBeLessThan(deadlineMs)
})

test('in the end nothing was lost, nothing came twice, and nothing older was shown after something newer', async () => {
  const { faults, ...report } = await scene.end()
  say(JSON.stringify(report))
  expect(faults).toEqual([])
})
