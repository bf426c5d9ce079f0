import { updateClass } from '@flasktoria/contracts/updates'
import { appendScript, forgetScript } from './append-script.ts'
import { formatFields } from './batch.ts'
import {
  freshEpoch,
  LogUnavailable,
  mergeKey,
  type Appended,
  type Draft,
  type LogReader,
  type LogWriter,
} from './log.ts'
import { followRedis } from './redis-follower.ts'
import { defaultPrefix, logKeys } from './redis-keys.ts'
import { connectRedis, disconnect, runScript, whenReady, type Redis } from './redis.ts'

export type RedisLogOptions = {
  url: string
  /** In front of every key and channel. */
  prefix?: string
  /** How long, and how many batches of it, the stream remembers. */
  recentMs?: number
  maxRecentBatches?: number
  /** How long a MERGE key is kept that nothing arrives for, and an event id. */
  retentionMs?: number
  maxEventIds?: number
  onError?: (error: Error) => void
}

const maxBatchDrafts = 500
const maxBatchBytes = 64 * 1024
const housekeepingMs = 60_000
const scanCount = 500

/** The live log in Redis 6.2 or newer. See log.ts for what it promises. */
export function createRedisLog(options: RedisLogOptions): LogWriter & LogReader {
  const { url, onError } = options
  const commands = connectRedis(url, 'commands', onError)
  const keys = logKeys(options.prefix ?? defaultPrefix)
  const writer = new RedisWriter(commands, options)
  return {
    append: (drafts) => writer.append(drafts),
    follow: (listener) => followRedis({ url, keys, commands, listener, onError }),
    ping: async () => {
      await asUnavailable(whenReady(commands).then(() => commands.ping()))
    },
    close: async () => {
      writer.stop()
      disconnect(commands)
    },
  }
}

const asUnavailable = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (cause) {
    throw new LogUnavailable(
      `the live log does not answer: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
}

class RedisWriter {
  readonly #redis: Redis
  readonly #keys: ReturnType<typeof logKeys>
  readonly #limits: Required<Pick<RedisLogOptions, 'recentMs' | 'maxRecentBatches' | 'retentionMs' | 'maxEventIds'>>
  #epoch = ''
  #seq = 0
  #housekeeping: NodeJS.Timeout | undefined

  constructor(redis: Redis, { prefix = defaultPrefix, ...limits }: RedisLogOptions) {
    this.#redis = redis
    this.#keys = logKeys(prefix)
    this.#limits = {
      recentMs: limits.recentMs ?? 600_000,
      maxRecentBatches: limits.maxRecentBatches ?? 20_000,
      retentionMs: limits.retentionMs ?? 86_400_000,
      maxEventIds: limits.maxEventIds ?? 200_000,
    }
  }

  async append(drafts: readonly Draft[]): Promise<Appended> {
    this.#housekeeping ??= setInterval(() => void this.#forgetOld().catch(() => {}), housekeepingMs).unref()
    const sum: Appended = { entries: 0, late: 0, duplicates: 0 }
    await asUnavailable(whenReady(this.#redis))
    for (const batch of batchesOf(drafts)) {
      // Batches keep their order: the next one waits.
      const { entries, late, duplicates } = await asUnavailable(this.#appendBatch(batch))
      sum.entries += entries
      sum.late += late
      sum.duplicates += duplicates
    }
    return sum
  }

  stop(): void {
    clearInterval(this.#housekeeping)
  }

  async #appendBatch(drafts: readonly Draft[]): Promise<Appended> {
    const { epoch, seq, times, state, events, stream, channel } = this.#keys
    const { recentMs, maxRecentBatches, retentionMs, maxEventIds } = this.#limits
    const words: (string | number)[] = [
      freshEpoch(),
      this.#epoch,
      this.#seq,
      channel,
      recentMs,
      maxRecentBatches,
      retentionMs,
      maxEventIds,
    ]
    for (const draft of drafts) {
      const isEvent = updateClass[draft.kind] === 'event'
      const key = isEvent ? (draft.id ?? freshEpoch()) : mergeKey(draft)
      const status =
        draft.statusJson === undefined ? '' : formatFields({ ...draft, kind: 'sensorstatus', json: draft.statusJson })
      words.push(isEvent ? 'E' : 'M', key, draft.eventTs, formatFields(draft), status)
    }
    const answer = await runScript(this.#redis, appendScript, [epoch, seq, times, state, events, stream], words)
    const [newEpoch, lastSeq, entries, late, duplicates] = answer as [string, string, number, number, number]
    // Answers come in the order of the calls.
    this.#epoch = newEpoch
    this.#seq = Number(lastSeq)
    return { entries, late, duplicates }
  }

  /** Marks how far the log is now, and forgets the state of keys that nothing arrived for in `retentionMs`. */
  async #forgetOld(): Promise<void> {
    const { seq, times, state, marks } = this.#keys
    const now = Date.now()
    const head = await this.#redis.get(seq)
    if (head !== null) await this.#redis.zadd(marks, now, head)
    const [oldest] = await this.#redis.zrevrangebyscore(marks, now - this.#limits.retentionMs, '-inf', 'LIMIT', 0, 1)
    if (oldest === undefined) return
    for (let position = '0'; ;) {
      const [next, found] = await this.#redis.hscan(state, position, 'COUNT', scanCount)
      // Keys and values in turn; a value begins with its seq.
      const old = found.filter(
        (_, index) => index % 2 === 0 && Number.parseInt(found[index + 1] ?? '', 10) <= Number(oldest),
      )
      if (old.length > 0) await runScript(this.#redis, forgetScript, [times, state], [oldest, ...old])
      position = next
      if (position === '0') break
    }
    await this.#redis.zremrangebyscore(marks, '-inf', `(${now - this.#limits.retentionMs}`)
  }
}

function* batchesOf(drafts: readonly Draft[]): Generator<Draft[]> {
  let batch: Draft[] = []
  let bytes = 0
  for (const draft of drafts) {
    const size = draft.json.length + (draft.statusJson?.length ?? 0)
    if (batch.length === maxBatchDrafts || (batch.length > 0 && bytes + size > maxBatchBytes)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(draft)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
