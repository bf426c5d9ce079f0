import { connectRedis, disconnect } from '@flasktoria/live-log/redis'
import type { DeadLetter, DeadLetters } from './dead-letters.ts'

export type RedisDeadLettersOptions = {
  url: string
  key?: string
  capacity: number
  /** Called with how many could not be kept, because Redis did not take them. */
  onLost: (letters: number) => void
}

/** A capped list in Redis, shared by all instances. */
export function createRedisDeadLetters({
  url,
  key = 'flasktoria:dead-letters',
  capacity,
  onLost,
}: RedisDeadLettersOptions): DeadLetters {
  const redis = connectRedis(url, 'commands')
  return {
    put: (letters) => {
      const newest = letters.slice(-capacity)
      redis
        .multi()
        .lpush(key, ...newest.map((letter) => JSON.stringify(letter)))
        .ltrim(key, 0, capacity - 1)
        .exec()
        .catch(() => onLost(letters.length))
    },
    read: async (limit) => {
      const letters = await redis.lrange(key, 0, limit - 1)
      return letters.map((letter) => JSON.parse(letter) as DeadLetter)
    },
    close: () => {
      disconnect(redis)
      return Promise.resolve()
    },
  }
}
