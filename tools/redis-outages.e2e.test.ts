import { afterAll, beforeAll, expect, test } from 'vitest'
import { untilIngestsSay } from './crash-loop/outage.ts'
import { afterOutage, openRedisScene, type Standing } from './crash-loop/redis-scene.ts'
import { say } from './servers/run.ts'

/** Far more than it takes: the machine has other work to do. */
const deadlineMs = 10_000
let here: Awaited<ReturnType<typeof openRedisScene>>

beforeAll(async () => {
  here = await openRedisScene()
})
afterAll(() => here[Symbol.asyncDispose]())

/** Redis is back from now on: how soon is everything else? And nobody left the group meanwhile. */
async function recovery(what: string, before: Standing, change: { isNewLog: boolean }): Promise<number> {
  const { slowestMs, standing } = await here.recover(what)
  expect(standing).toEqual(afterOutage(before, change))
  return slowestMs
}
const hubSays = async () => (await here.scene.rig.hub.readiness()).checks['log']

test('Redis refuses connections', async () => {
  const before = await here.standing()
  const { redis } = here.scene.rig
  await redis.kill()
  await untilIngestsSay(here.scene, 'log', /^Redis does not answer: /)
  await expect.poll(hubSays, { timeout: deadlineMs }).toBe('the live log is away')
  await redis.start()
  expect(await recovery('Redis refused connections', before, { isNewLog: true })).toBeLessThan(deadlineMs)
})

test('Redis is frozen', async () => {
  const before = await here.standing()
  const { redis } = here.scene.rig
  redis.freeze()
  await untilIngestsSay(here.scene, 'log', /^Redis does not answer: /)
  await expect.poll(hubSays, { timeout: deadlineMs }).toBe('the live log is away')
  redis.thaw()
  expect(await recovery('Redis was frozen', before, { isNewLog: false })).toBeLessThan(deadlineMs)
})

test('Redis is full', async () => {
  const before = await here.standing()
  await here.ask((redis) => redis.config('SET', 'maxmemory', '1mb'))
  expect(await untilIngestsSay(here.scene, 'log', /^Redis refuses: .*OOM/)).toBe(true)
  await here.ask((redis) => redis.config('SET', 'maxmemory', '0'))
  expect(await recovery('Redis was full', before, { isNewLog: false })).toBeLessThan(deadlineMs)
})

test('Redis comes back empty', async () => {
  const before = await here.standing()
  const { rig, ledger } = here.scene
  await rig.redis.kill()
  await ledger.close(rig.redis, true)
  rig.redis.forget()
  await rig.redis.start()
  expect(await recovery('Redis came back empty', before, { isNewLog: true })).toBeLessThan(deadlineMs)
})

test('in the end nothing was lost, nothing came twice, and nothing older was shown after something newer', async () => {
  const { faults, ...report } = await here.scene.end()
  say(JSON.stringify(report))
  expect(faults).toEqual([])
})
