import { connectRedis, disconnect, whenReady } from '@flasktoria/live-log/redis'
import { deadLetterSchema, type DeadLetter, type DeadLetters } from './dead-letters.ts'

export type RedisDeadLettersOptions = {
  url: string
  key?: string
  capacity: number
  /** Called with how many could not be kept, because Redis did not take them. */
  onLost: (letters: number) => void
}

const defaultKey = 'flasktoria:dead-letters'
/** Letters on their way to a Redis that does not answer. */
const maxUnderWay = 1_000

/** A capped list in Redis, shared by all instances. */
export function createRedisDeadLetters({
  url,
  key = defaultKey,
  capacity,
  onLost,
}: RedisDeadLettersOptions): DeadLetters {
  const redis = connectRedis(url, 'commands')
  let underWay = 0
  return {
    put: (letters) => {
      const newest = letters.slice(-capacity)
      const kept = newest.slice(0, maxUnderWay - underWay)
      if (kept.length < newest.length) onLost(newest.length - kept.length)
      if (kept.length === 0) return
      underWay += kept.length
      redis
        .multi()
        .lpush(key, ...kept.map((letter) => JSON.stringify(letter)))
        .ltrim(key, 0, capacity - 1)
        .exec()
        .then((answers) => answers?.find(([error]) => error) && onLost(kept.length))
        .catch(() => onLost(kept.length))
        .finally(() => (underWay -= kept.length))
    },
    read: async (limit) => (await redis.lrange(key, 0, limit - 1)).flatMap((text) => parseLetter(text) ?? []),
    close: () => {
      disconnect(redis)
      return Promise.resolve()
    },
  }
}

/** A letter as it lies in the list. */
export type StoredLetter = { letter: DeadLetter; text: string }

/** The list, for someone who looks through it and takes letters out. */
export async function openRedisDeadLetters(url: string, key = defaultKey) {
  const redis = connectRedis(url, 'commands')
  try {
    await whenReady(redis, 5_000)
  } catch (error) {
    disconnect(redis)
    throw error
  }
  return {
    /** Newest first; what is no letter is left out. */
    read: async (): Promise<StoredLetter[]> =>
      (await redis.lrange(key, 0, -1)).flatMap((text) => {
        const letter = parseLetter(text)
        return letter ? [{ letter, text }] : []
      }),
    /** Several may be equal: one of them goes. */
    remove: async ({ text }: StoredLetter): Promise<void> => {
      await redis.lrem(key, 1, text)
    },
    [Symbol.asyncDispose]: () => {
      disconnect(redis)
      return Promise.resolve()
    },
  }
}

function parseLetter(text: string): DeadLetter | undefined {
  try {
    return deadLetterSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
