import { Redis, type RedisOptions } from 'ioredis'
import { createHash } from 'node:crypto'
import { LogUnavailable } from './log.ts'
import { parseRedisUrl } from './redis-url.ts'

export type { Redis }

/**
 * `commands` fail within two seconds instead of waiting in memory for a Redis that is away. `subscriber` connections wait:
 * they only listen. Either one comes back by itself, also from a connection that died without a word while it owed an answer.
 */
const patience = {
  commands: { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 2_000, socketTimeout: 4_000 },
  subscriber: { enableOfflineQueue: true, maxRetriesPerRequest: null, socketTimeout: 10_000, autoResubscribe: false },
} satisfies Record<string, RedisOptions>

/** A connection to a Redis, or to the master that a Sentinel names. */
export function openRedis(url: string, options: Omit<RedisOptions, 'replyMapping'>): Redis {
  const { master } = parseRedisUrl(url)
  return master ? new Redis({ ...options, ...master }) : new Redis(url, options)
}

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
  const redis = openRedis(url, options)
  redis.on('error', onError)
  // While Redis is away, as many calls wait for it as there are callers.
  redis.setMaxListeners(0)
  return redis
}

/** Resolves when commands can be sent. @throws when that takes longer than `withinMs` */
export async function whenReady(redis: Redis, withinMs = 1_000): Promise<void> {
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

/** @throws LogUnavailable whatever it is that keeps Redis from answering */
export async function asUnavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    if (cause instanceof LogUnavailable) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    const isRefusal = cause instanceof Error && cause.name === 'ReplyError'
    throw new LogUnavailable(`Redis ${isRefusal ? 'refuses' : 'does not answer'}: ${why}`, { cause })
  }
}

export type Subscription = { reconnect(): void; close(): void }

/**
 * Listens to a channel until closed. `onListening` is called whenever the channel is heard, at first and after each
 * interruption: what was published before that may have been missed.
 */
export function subscribe(
  url: string,
  channel: string,
  on: { message: (text: string) => void; listening: () => void; error: ((error: Error) => void) | undefined },
): Subscription {
  const redis = connectRedis(url, 'subscriber', on.error)
  redis.on('message', (_channel, text: string) => on.message(text))
  redis.on('ready', () => {
    redis.subscribe(channel).then(on.listening, (error: Error) => on.error?.(error))
  })
  return { reconnect: () => redis.disconnect(true), close: () => disconnect(redis) }
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
