import { connectRedis, disconnect, whenReady, type Redis } from '@flasktoria/live-log/redis'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../servers/daemon.ts'
import { say } from '../servers/run.ts'
import { Chance } from './chance.ts'
import { joinsOf, measureRecovery, untilWritten } from './outage.ts'
import { openScene, type Scene } from './scene.ts'
import { openSwitch } from './switch.ts'

/** How often the ingests joined, the log began anew, and a client was told of a gap. */
export type Standing = { joins: number[]; epochs: number; gaps: number }

/** A scene whose Redis stands behind an address that can be turned to another one. */
export async function openRedisScene() {
  await using parts = new AsyncDisposableStack()
  const dir = mkdtempSync(join(tmpdir(), 'flasktoria-redis-scene-'))
  parts.defer(() => rmSync(dir, { recursive: true, force: true }))
  const redisPort = await freePort()
  const address = parts.use(await openSwitch(redisPort))
  const redisUrl = `redis://127.0.0.1:${address.port}`
  const scene: Scene = parts.use(
    await openScene({ dir, sessionTimeoutMs: 6_000, redisPort, redisUrl, chance: new Chance(1) }),
  )
  await untilWritten(scene, 1)

  async function ask<T>(question: (redis: Redis) => Promise<T>, port = address.port): Promise<T> {
    const redis = connectRedis(`redis://127.0.0.1:${port}`, 'commands')
    try {
      await whenReady(redis, 5_000)
      return await question(redis)
    } finally {
      disconnect(redis)
    }
  }

  const standing = async (): Promise<Standing> => ({
    joins: await joinsOf(scene),
    epochs: scene.reader.witness.epochs.length,
    gaps: scene.client.gaps(),
  })

  /** Redis is back from now on. How long until everything else is, the slowest of all, in ms; and where that stands then. */
  async function recover(what: string): Promise<{ slowestMs: number; standing: Standing }> {
    const times = await measureRecovery(scene)
    say(`${what}: ${JSON.stringify(times)}`)
    return { slowestMs: Math.max(...Object.values(times)), standing: await standing() }
  }

  const open = parts.move()
  return { dir, scene, address, ask, standing, recover, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** Nobody left the group; whoever has to read a new log was told once. */
export const afterOutage = ({ joins, epochs, gaps }: Standing, { isNewLog }: { isNewLog: boolean }): Standing => ({
  joins,
  epochs: epochs + Number(isNewLog),
  gaps: gaps + Number(isNewLog),
})
