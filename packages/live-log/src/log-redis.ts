import { assertFits } from './batch.ts'
import { updateClass } from '@flasktoria/contracts/updates'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { canGrowOld, freshEpoch, mergeKey, type Appended, type Draft, type LogReader, type LogWriter } from './log.ts'
import { appendScript, forgetScript, markScript } from './log-scripts.ts'
import { RedisFollower } from './redis-follower.ts'
import { defaultPrefix, logKeys, type LogKeys } from './redis-keys.ts'
import { asUnavailable, connectRedis, disconnect, runScript, whenReady, type Redis } from './redis.ts'

export type RedisLogOptions = {
  url: string
  /** In front of every key and channel. */
  prefix?: string
  /** How long, and how many, entries the stream remembers. */
  recentMs?: number
  maxRecent?: number
  /** How long a MERGE key is kept that nothing arrives for, and an event id. */
  retentionMs?: number
  maxEventIds?: number
  onError?: (error: Error) => void
}

const maxBatchDrafts = 500
const maxBatchBytes = 64 * 1024
const maxHousekeepingMs = 10_000
const sweptKeys = 1_000

/**
 * The live log in Redis 6.2 or newer, which must not evict keys (`maxmemory-policy noeviction`). See log.ts for what it promises.
 * A long append is made in parts of at most 500 drafts or 64 KB, each of them atomic.
 */
export function createRedisLog({
  url,
  prefix = defaultPrefix,
  recentMs = 600_000,
  maxRecent = 500_000,
  retentionMs = 86_400_000,
  maxEventIds = 200_000,
  onError,
}: RedisLogOptions): LogWriter & LogReader {
  const commands = connectRedis(url, 'commands', onError)
  const keys = logKeys(prefix)
  const writer = new RedisWriter(commands, keys, { recentMs, maxRecent, retentionMs, maxEventIds }, onError)
  const followers = new Set<RedisFollower>()
  return {
    append: (drafts) => writer.append(drafts),
    async follow(listener, { maxRecent: maxRead = Infinity } = {}) {
      const follower = new RedisFollower({ url, keys, commands, listener, maxRecent: maxRead, onError })
      followers.add(follower)
      await follower.started
      return {
        close: async () => {
          followers.delete(follower)
          follower.close()
        },
      }
    },
    ping: async () => {
      await asUnavailable(whenReady(commands).then(() => commands.ping()))
    },
    close: async () => {
      writer.close()
      for (const follower of followers) follower.close()
      disconnect(commands)
    },
  }
}

type Limits = Required<Pick<RedisLogOptions, 'recentMs' | 'maxRecent' | 'retentionMs' | 'maxEventIds'>>

class RedisWriter {
  readonly #redis: Redis
  readonly #keys: LogKeys
  readonly #limits: Limits
  readonly #onError: RedisLogOptions['onError']
  readonly #closing = new AbortController()
  #epoch = ''
  #seq = 0
  /** Id of the Redis process at the other end of this connection. */
  #server: Promise<string> | undefined
  #isKeepingHouse = false

  constructor(redis: Redis, keys: LogKeys, limits: Limits, onError: RedisLogOptions['onError']) {
    this.#redis = redis
    this.#keys = keys
    this.#limits = limits
    this.#onError = onError
    redis.on('close', () => {
      this.#server = undefined
    })
  }

  async append(drafts: Iterable<Draft>): Promise<Appended> {
    const sum: Appended = { entries: 0, late: 0, duplicates: 0 }
    for (const part of partsOf(drafts)) {
      const { entries, late, duplicates } = await asUnavailable(this.#appendPart(part))
      sum.entries += entries
      sum.late += late
      sum.duplicates += duplicates
    }
    if (!this.#isKeepingHouse) void this.#keepHouse()
    return sum
  }

  close(): void {
    this.#closing.abort()
  }

  async #appendPart(drafts: readonly Draft[]): Promise<Appended> {
    await whenReady(this.#redis)
    const server = await (this.#server ??= this.#askServer())
    const { head, times, state, events, stream, marks, channel } = this.#keys
    const { maxRecent, retentionMs, maxEventIds } = this.#limits
    const words = [freshEpoch(), this.#epoch, this.#seq, server, channel, maxRecent, retentionMs, maxEventIds]
    for (const draft of drafts) {
      const id = updateClass[draft.kind] === 'event' ? draft.id || randomUUID() : ''
      words.push(id, mergeKey(draft), draft.eventTs, draft.json, draft.statusJson ?? '', draft.heldStatusJson ?? '')
    }
    const answer = await runScript(this.#redis, appendScript, [head, times, state, events, stream, marks], words)
    const [epoch, seq, entries, late, duplicates] = answer as [string, string, number, number, number]
    // Answers come in the order of the calls.
    this.#epoch = epoch
    this.#seq = Number(seq)
    return { entries, late, duplicates }
  }

  async #askServer(): Promise<string> {
    try {
      return /run_id:(\w+)/.exec(await this.#redis.info('server'))?.[1] ?? ''
    } catch (error) {
      this.#server = undefined
      throw error
    }
  }

  /** Forgets what is too old, a page of the state at a time. What fails is tried again the next time. */
  async #keepHouse(): Promise<void> {
    this.#isKeepingHouse = true
    const { recentMs, retentionMs } = this.#limits
    const everyMs = Math.min(maxHousekeepingMs, recentMs / 10, retentionMs / 10)
    const { signal } = this.#closing
    for (let position = '0'; ;) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      try {
        position = await this.#forgetOld(position)
      } catch (error) {
        this.#onError?.(error as Error)
      }
    }
  }

  async #forgetOld(position: string): Promise<string> {
    const { head, marks, stream, times, state } = this.#keys
    const { recentMs, retentionMs } = this.#limits
    const tooOld = Number(await runScript(this.#redis, markScript, [head, marks, stream], [recentMs, retentionMs]))
    if (tooOld === 0) return '0'
    const [next, found] = await this.#redis.hscan(state, position, 'COUNT', sweptKeys)
    const old: string[] = []
    // Keys and values in turn; a key begins with its kind, a value with its seq.
    for (let index = 0; index + 1 < found.length; index += 2) {
      const [key, value] = [found[index]!, found[index + 1]!]
      if (Number.parseInt(value, 10) <= tooOld && canGrowOld(key.slice(0, key.indexOf('\t')), value)) old.push(key)
    }
    if (old.length > 0) await runScript(this.#redis, forgetScript, [times, state], [tooOld, ...old])
    return next
  }
}

/** @throws RangeError when it comes to a draft that fits into no line */
function* partsOf(drafts: Iterable<Draft>): Generator<Draft[]> {
  let part: Draft[] = []
  let bytes = 0
  for (const draft of drafts) {
    assertFits(draft)
    const size = Buffer.byteLength(draft.json) + Buffer.byteLength(draft.statusJson ?? '')
    if (part.length === maxBatchDrafts || (part.length > 0 && bytes + size > maxBatchBytes)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(draft)
    bytes += size
  }
  if (part.length > 0) yield part
}
