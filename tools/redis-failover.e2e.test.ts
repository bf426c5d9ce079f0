import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { afterOutage, openRedisScene } from './crash-loop/redis-scene.ts'
import { freePort } from './servers/daemon.ts'
import { startRedis } from './servers/redis.ts'
import { say } from './servers/run.ts'

/** Far more than it takes: the machine has other work to do. */
const deadlineMs = 10_000
const parts = new AsyncDisposableStack()
let here: Awaited<ReturnType<typeof openRedisScene>>
let replica: Awaited<ReturnType<typeof startRedis>> & { port: number }
let primaryPort: number

beforeAll(async () => {
  here = parts.use(await openRedisScene())
  const port = await freePort()
  replica = { ...(await startRedis({ dir: join(here.dir, 'replica'), port, isPersistent: true })), port }
  parts.defer(() => replica.kill())
  primaryPort = Number(new URL(here.scene.rig.redis.url).port)
  for (const one of [primaryPort, port])
    await here.ask((redis) => redis.config('SET', 'repl-diskless-sync-delay', '0'), one)
})
afterAll(() => parts.disposeAsync())

async function follow(port: number, primary: number) {
  await here.ask((redis) => redis.replicaof('127.0.0.1', primary), port)
  const says = async (one: number) => await here.ask((redis) => redis.info('replication'), one).catch(() => '')
  // Both of them know it: a primary hands over only to a replica that it takes for online.
  const isInSync = async () => /link_status:up/.test(await says(port)) && /state=online/.test(await says(primary))
  await expect.poll(isInSync, { timeout: 30_000 }).toBe(true)
}

/**
 * What a primary takes in its last moment its replica may never hear of: Redis does not wait for replicas. So nobody writes in
 * the moment in which it dies.
 */
async function dieInSilence() {
  const { ingests, redis } = here.scene.rig
  for (const ingest of ingests) ingest.freeze()
  const isReplicated = async () => {
    const said = await here.ask((one) => one.info('replication'), primaryPort)
    return /slave0:.*offset=(\d+)/.exec(said)?.[1] === /master_repl_offset:(\d+)/.exec(said)?.[1]
  }
  await expect.poll(isReplicated, { timeout: 5_000 }).toBe(true)
  await redis.kill()
  for (const ingest of ingests) ingest.thaw()
}

test('a replica takes over from a primary that died', async () => {
  await follow(replica.port, primaryPort)
  const before = await here.standing()
  await dieInSilence()
  await here.ask((redis) => redis.replicaof('NO', 'ONE'), replica.port)
  here.address.turnTo(replica.port)
  const { slowestMs, standing } = await here.recover('a replica was promoted')
  expect(standing).toEqual(afterOutage(before, { isNewLog: true }))
  expect(slowestMs).toBeLessThan(deadlineMs)
})

test('it hands over again, and is only a replica then, with the connections of everybody', async () => {
  await here.scene.rig.redis.start()
  await follow(primaryPort, replica.port)
  const before = await here.standing()
  here.address.turnTo(primaryPort)
  await here.ask((redis) => redis.call('FAILOVER', 'TO', '127.0.0.1', primaryPort), replica.port)
  const { slowestMs, standing } = await here.recover('the old primary was promoted again')
  expect(standing).toEqual(afterOutage(before, { isNewLog: true }))
  expect(slowestMs).toBeLessThan(deadlineMs)
})

test('in the end nothing was lost, nothing came twice, and nothing older was shown after something newer', async () => {
  const { faults, ...report } = await here.scene.end()
  say(JSON.stringify(report))
  expect(faults).toEqual([])
})
