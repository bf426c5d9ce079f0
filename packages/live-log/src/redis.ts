import { Redis, type RedisOptions } from 'ioredis'
import { createHash } from 'node:crypto'

export type { Redis }

/**
 * Commands fail within two seconds instead of waiting in memory for a Redis that is away; the connection comes back by itself.
 * `subscriber` connections have no deadline: they only listen.
 */
const patience = {
  commands: { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 2_000 },
  subscriber: { enableOfflineQueue: true, maxRetriesPerRequest: null },
} satisfies Record<string, RedisOptions>

/** Opens a connection that reconnects for ever. `onError` gets each failed attempt: without it they are silent. */
export function connectRedis(
  url: string,
  role: keyof typeof patience,
  onError: (error: Error) => void = () => {},
): Redis {
  const options = {
    ...patience[role],
    connectTimeout: 2_000,
    keepAlive: 10_000,
    retryStrategy: (attempt: number) => Math.min(100 * attempt, 1_000),
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  }
  const redis = new Redis(url, options)
  redis.on('error', onError)
  return redis
}

/** Resolves when commands can be sent. @throws when that takes longer than `withinMs` */
export async function whenReady(redis: Redis, withinMs = 2_000): Promise<void> {
  if (redis.status === 'ready') return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('Redis is not reachable')), withinMs)
  redis.once('ready', resolve)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    redis.off('ready', resolve)
  }
}

/** Ends a connection at once; what is under way fails. */
export const disconnect = (redis: Redis): void => {
  redis.removeAllListeners('error')
  redis.on('error', () => {})
  redis.disconnect()
}

const hashes = new Map<string, string>()
const hashOf = (script: string): string => {
  let hash = hashes.get(script)
  if (hash === undefined) hashes.set(script, (hash = createHash('sha1').update(script).digest('hex')))
  return hash
}

/** Runs a script by its hash, and sends its text where Redis does not know it (yet, or any more). */
export async function runScript(
  redis: Redis,
  script: string,
  keys: readonly string[],
  words: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(hashOf(script), keys.length, ...keys, ...words)
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return redis.eval(script, keys.length, ...keys, ...words)
  }
}
