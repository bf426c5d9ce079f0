import { updateClass } from '@flasktoria/contracts/updates'
import { setTimeout as sleep } from 'node:timers/promises'
import { renewEpochScript } from './append-script.ts'
import { MalformedBatch, parseBatch, parseState, type Batch } from './batch.ts'
import { freshEpoch, mergeKey, type Entry, type LogFollower, type LogListener, type Snapshot } from './log.ts'
import type { LogKeys } from './redis-keys.ts'
import { connectRedis, disconnect, runScript, whenReady, type Redis } from './redis.ts'

const checkMs = 1_000
const scanCount = 1_000
const streamCount = 100
/** While a snapshot is read; beyond it the snapshot begins anew, behind what was let go. */
const maxBufferedBatches = 10_000

type Place = {
  url: string
  keys: LogKeys
  /** For reading; shared with the writer. */
  commands: Redis
  listener: LogListener
  onError?: ((error: Error) => void) | undefined
}

/** Follows the log until closed. Resolves when the first snapshot was delivered. */
export async function followRedis(place: Place): Promise<LogFollower> {
  const follower = new RedisFollower(place)
  await follower.start()
  return follower
}

/**
 * A reader of the log.
 *
 *     subscribe ─► snapshot ─► following ──hole──► heal from the stream ─► following
 *                     ▲                              │ trimmed
 *                     └── new epoch ── seq fell ─────┘
 *
 * Pub/sub may lose anything at any time. So every batch is held against the seq before it, and once a second the head of the
 * log against ours: a lost batch is noticed by the next one, a lost last one within a second.
 */
class RedisFollower implements LogFollower {
  readonly #place: Place
  readonly #subscriber: Redis
  #epoch = ''
  #head = 0
  /** Batches that came while a snapshot or a hole is being read; undefined while following. */
  #buffer: Batch[] | undefined = []
  #isClosed = false
  #isConnected: boolean | undefined
  #work: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #staleChecks = 0

  constructor(place: Place) {
    this.#place = place
    this.#subscriber = connectRedis(place.url, 'subscriber', place.onError)
  }

  async start(): Promise<void> {
    this.#subscriber.on('message', (_channel, text: string) => this.#receive(text))
    await this.#subscriber.subscribe(this.#place.keys.channel)
    await this.#resync('start')
    this.#check()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    disconnect(this.#subscriber)
    await this.#work.catch(() => {})
  }

  #receive(text: string): void {
    let batch: Batch
    try {
      batch = parseBatch(text)
    } catch (error) {
      if (!(error instanceof MalformedBatch)) throw error
      // Whatever it was, its seqs are missing now: the stream has them.
      this.#place.onError?.(error)
      return
    }
    this.#staleChecks = 0
    if (!this.#buffer) return this.#apply(batch)
    if (this.#buffer.length === maxBufferedBatches) this.#buffer = []
    this.#buffer.push(batch)
  }

  /** A batch that continues is delivered; anything else is looked into. */
  #apply(batch: Batch): void {
    const last = batch.first + batch.entries.length - 1
    if (batch.epoch === this.#epoch && batch.first === this.#head + 1) this.#deliver(batch.entries, last)
    else {
      this.#buffer = [batch]
      this.#enqueue(() => this.#heal())
    }
  }

  #deliver(entries: readonly Entry[], last: number): void {
    this.#head = last
    if (entries.length > 0 && !this.#isClosed) this.#place.listener.onEntries(entries)
  }

  /** One thing after the other; a failure is tried again until it works or we are closed. */
  #enqueue(work: () => Promise<void>): void {
    this.#buffer ??= []
    const before = this.#work
    this.#work = (async () => {
      await before
      while (!this.#isClosed)
        try {
          return await work()
        } catch (error) {
          this.#setConnected(false)
          this.#place.onError?.(error instanceof Error ? error : new Error(String(error)))
          await sleep(250)
        }
    })()
  }

  async #resync(reason: Snapshot['reason']): Promise<void> {
    this.#enqueue(() => this.#deliverSnapshot(reason))
    await this.#work
  }

  /** Delivers what came meanwhile, as far as it continues; true when nothing is missing. */
  #drainBuffer(): boolean {
    const waiting = this.#buffer ?? []
    for (const batch of waiting) {
      const last = batch.first + batch.entries.length - 1
      if (batch.epoch !== this.#epoch) return false
      if (last <= this.#head) continue
      if (batch.first > this.#head + 1) return false
      this.#deliver(batch.entries.slice(this.#head + 1 - batch.first), last)
    }
    this.#buffer = undefined
    return true
  }

  async #deliverSnapshot(reason: Snapshot['reason']): Promise<void> {
    const { commands, listener } = this.#place
    await whenReady(commands)
    const snapshot = await this.#readSnapshot(reason)
    if (this.#isClosed) return
    this.#epoch = snapshot.epoch
    this.#head = snapshot.head
    listener.onSnapshot(snapshot)
    this.#setConnected(true)
    if (!this.#drainBuffer()) await this.#heal()
  }

  async #readSnapshot(reason: Snapshot['reason']): Promise<Snapshot> {
    const { commands, keys } = this.#place
    for (;;) {
      await commands.set(keys.epoch, freshEpoch(), 'NX')
      const { epoch } = await this.#readHead()
      const state = new Map<string, Entry>()
      for (let position = '0'; ;) {
        const [next, found] = await commands.hscan(keys.state, position, 'COUNT', scanCount)
        for (let index = 0; index + 1 < found.length; index += 2)
          state.set(found[index]!, parseState(found[index + 1]!))
        position = next
        if (position === '0') break
      }
      // Read before the stream: whatever is appended meanwhile is in the stream, or comes by subscription.
      const after = await this.#readHead()
      const recent: Entry[] = []
      for await (const batch of this.#readStream('-')) if (batch.epoch === epoch) recent.push(...batch.entries)
      if (epoch === null || after.epoch !== epoch || (await this.#readHead()).epoch !== epoch) continue
      const head = Math.max(recent.at(-1)?.seq ?? 0, after.seq)
      for (const entry of recent) {
        const key = mergeKey(entry)
        if (!entry.isLate && updateClass[entry.kind] === 'merge' && (state.get(key)?.seq ?? 0) < entry.seq)
          state.set(key, entry)
      }
      return { epoch, head, state: [...state.values()].toSorted((a, b) => a.seq - b.seq), recent, reason }
    }
  }

  async #readHead(): Promise<{ epoch: string | null; seq: number }> {
    const { commands, keys } = this.#place
    const [epoch, seq] = await commands.mget(keys.epoch, keys.seq)
    return { epoch: epoch ?? null, seq: Number(seq ?? 0) }
  }

  async *#readStream(from: string): AsyncGenerator<Batch> {
    const { commands, keys } = this.#place
    for (let start = from; ;) {
      const items = await commands.xrange(keys.stream, start, '+', 'COUNT', streamCount)
      for (const [, [, text]] of items) yield parseBatch(text ?? '')
      const last = items.at(-1)?.[0]
      if (last === undefined || items.length < streamCount) return
      start = `(${last}`
    }
  }

  /** Reads what is missing out of the stream, or begins anew with a snapshot. */
  async #heal(): Promise<void> {
    const { commands, keys } = this.#place
    await whenReady(commands)
    for (;;) {
      const { epoch, seq } = await this.#readHead()
      if (epoch !== this.#epoch) return this.#deliverSnapshot('epoch')
      if (seq < this.#head) {
        await runScript(commands, renewEpochScript, [keys.epoch, keys.seq], [this.#epoch, this.#head, freshEpoch()])
        return this.#deliverSnapshot('epoch')
      }
      const missing = await this.#missingBatches()
      if (!missing) return this.#deliverSnapshot('gap')
      for (const batch of missing) {
        const last = batch.first + batch.entries.length - 1
        if (batch.epoch === this.#epoch && last > this.#head)
          this.#deliver(batch.entries.slice(this.#head + 1 - batch.first), last)
      }
      this.#setConnected(true)
      if (this.#isClosed || this.#drainBuffer()) return
    }
  }

  /** The batches after our head, oldest first; undefined when the stream has forgotten some of them. */
  async #missingBatches(): Promise<Batch[] | undefined> {
    const { commands, keys } = this.#place
    const found: Batch[] = []
    for (let end = '+'; ;) {
      const items = await commands.xrevrange(keys.stream, end, '-', 'COUNT', streamCount)
      for (const [, [, text]] of items) {
        const batch = parseBatch(text ?? '')
        if (batch.epoch !== this.#epoch) return undefined
        if (batch.first + batch.entries.length - 1 <= this.#head) return found.toReversed()
        found.push(batch)
        if (batch.first <= this.#head + 1) return found.toReversed()
      }
      const oldest = items.at(-1)?.[0]
      if (oldest === undefined || items.length < streamCount) return found.length === 0 ? [] : undefined
      end = `(${oldest}`
    }
  }

  /** Once a second: are we where the log is? */
  #check(): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(async () => {
      try {
        const headBefore = this.#head
        const { epoch, seq } = await this.#readHead()
        this.#setConnected(true)
        const isBehind = epoch !== this.#epoch || seq < headBefore || (seq > this.#head && this.#head === headBefore)
        if (isBehind && !this.#buffer) {
          this.#enqueue(() => this.#heal())
          // Twice without a message: the subscription is dead, though nobody said so.
          if (++this.#staleChecks >= 2) this.#subscriber.disconnect(true)
        }
        await this.#work
      } catch {
        this.#setConnected(false)
      }
      this.#check()
    }, checkMs)
  }

  #setConnected(isConnected: boolean): void {
    if (this.#isConnected === isConnected || this.#isClosed) return
    this.#isConnected = isConnected
    this.#place.listener.onConnected?.(isConnected)
  }
}
