import { randomUUID } from 'node:crypto'
import type { Lease } from './lease.ts'
import { defaultPrefix, logKeys } from './redis-keys.ts'
import { asUnavailable, connectRedis, disconnect, runScript, whenReady } from './redis.ts'

export type RedisLeaseOptions = {
  url: string
  /** What the lease is for. */
  name: string
  /** In front of every key. */
  prefix?: string
  ttlMs?: number
  onError?: (error: Error) => void
}

/** KEYS 1 the lease. ARGV 1 our token, 2 how long it stays taken (ms). Gives the time, or false. */
const holdScript = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
`

/** KEYS 1 the lease. ARGV 1 our token. */
const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`

/** A lease in Redis: a key that holds the token of whoever has it, and ends by itself. */
export function createRedisLease({
  url,
  name,
  prefix = defaultPrefix,
  ttlMs = 3_000,
  onError,
}: RedisLeaseOptions): Lease {
  const redis = connectRedis(url, 'commands', onError)
  const key = `${logKeys(prefix).lease}:${name}`
  const token = randomUUID()

  async function run(script: string, ...words: (string | number)[]): Promise<unknown> {
    await whenReady(redis)
    return runScript(redis, script, [key], [token, ...words])
  }

  return {
    ttlMs,
    hold: async () => ((await asUnavailable(run(holdScript, ttlMs))) as number | null) ?? undefined,
    release: async () => {
      await asUnavailable(run(releaseScript))
    },
    close: async () => disconnect(redis),
  }
}
