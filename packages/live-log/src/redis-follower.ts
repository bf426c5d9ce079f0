import { updateClass } from '@flasktoria/contracts/updates'
import { lastSeq, MalformedBatch, parseBatch, parseState, type Batch } from './batch.ts'
import { freshEpoch, LogUnavailable, mergeKey, type Entry, type LogListener, type Snapshot } from './log.ts'
import { attendScript } from './log-scripts.ts'
import type { LogKeys } from './redis-keys.ts'
import { runScript, subscribe, whenReady, type Redis, type Subscription } from './redis.ts'

const checkMs = 1_000
const stateCount = 1_000
const streamCount = 100
/** Of those that come while something is read. The stream has what is let go. */
const maxWaitingBatches = 1_000

type Place = {
  url: string
  keys: LogKeys
  /** For reading; shared with the writer. */
  commands: Redis
  listener: LogListener
  /** How much of the stream's end a snapshot is to carry, in entries. */
  maxRecent: number
  onError: ((error: Error) => void) | undefined
}

/**
 * A reader of the log.
 *
 *     subscribe ─► snapshot ─► following ──hole──► heal from the stream ─► following
 *                     ▲                              │
 *                     └── new epoch, or trimmed ─────┘
 *
 * Pub/sub may lose anything at any time. So every batch is held against the seq before it, and once a second the head of the
 * log against ours: a lost batch is noticed by the next one, a lost last one within a second. What fails is tried again then.
 */
export class RedisFollower {
  readonly #place: Place
  readonly #subscription: Subscription
  readonly #started = Promise.withResolvers<void>()
  #epoch = ''
  #head = 0
  /** What came while something is read; undefined while following. */
  #waiting: Batch[] | undefined = []
  #isReading = false
  #isClosed = false
  #isConnected: boolean | undefined
  #timer: NodeJS.Timeout | undefined
  /** How many checks in a row found us behind, and nothing heard. */
  #deafChecks = 0

  constructor(place: Place) {
    this.#place = place
    this.#subscription = subscribe(place.url, place.keys.channel, {
      message: (text) => this.#receive(text),
      listening: () => {
        this.#deafChecks = 0
        this.#catchUp()
      },
      error: place.onError,
    })
    this.#checkLater()
  }

  /** Resolves when the first snapshot was delivered; rejects when closed before. */
  get started(): Promise<void> {
    return this.#started.promise
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#subscription.close()
    this.#started.reject(new LogUnavailable('closed before the log could be read'))
  }

  #receive(text: string): void {
    this.#deafChecks = 0
    const batch = this.#read(() => parseBatch(text))
    // What can't be read is missed as what did not come, and found in the stream.
    if (!batch || this.#isClosed) return
    if (this.#waiting?.length === maxWaitingBatches) this.#waiting = []
    if (this.#waiting) this.#waiting.push(batch)
    else if (!this.#take(batch)) this.#catchUp()
  }

  /** False: something is missing before it, or it is of another epoch. */
  #take(batch: Batch): boolean {
    const last = lastSeq(batch)
    if (batch.epoch !== this.#epoch || batch.first > this.#head + 1) return false
    if (last > this.#head) {
      const entries = batch.first > this.#head ? batch.entries : batch.entries.slice(this.#head + 1 - batch.first)
      this.#head = last
      if (!this.#isClosed) this.#place.listener.onEntries(entries)
    }
    return true
  }

  #catchUp(): void {
    this.#waiting ??= []
    if (this.#isReading || this.#isClosed) return
    this.#isReading = true
    this.#readUntilCaughtUp()
      .catch((error: unknown) => {
        this.#setConnected(false)
        this.#report(error)
      })
      .finally(() => {
        this.#isReading = false
      })
  }

  async #readUntilCaughtUp(): Promise<void> {
    await whenReady(this.#place.commands)
    while (!this.#isClosed) {
      // Whatever came up to now can be read: it stands in the stream before it is published.
      this.#waiting = []
      const { epoch, seq } = await this.#attend()
      const isHealed = epoch === this.#epoch && (await this.#readMissing(seq))
      if (!isHealed) await this.#takeSnapshot()
      this.#setConnected(true)
      const isCaughtUp = this.#waiting.every((batch) => this.#take(batch))
      if (!isCaughtUp) continue
      this.#waiting = undefined
      return
    }
  }

  /** Delivers what is missing out of the stream. False: it does not have all of it. */
  async #readMissing(seq: number): Promise<boolean> {
    const { commands, keys } = this.#place
    for (;;) {
      const items = await commands.xrange(keys.stream, this.#head + 1, '+', 'COUNT', streamCount)
      for (const [, [, text]] of items) {
        const batch = this.#read(() => parseBatch(text ?? ''))
        if (!batch || !this.#take(batch)) return false
      }
      if (items.length < streamCount) return this.#head >= seq
    }
  }

  async #takeSnapshot(): Promise<void> {
    const picture = await this.#readPicture()
    if (this.#isClosed) return
    const reason = this.#epoch === '' ? 'start' : picture.epoch === this.#epoch ? 'gap' : 'epoch'
    this.#epoch = picture.epoch
    this.#head = picture.head
    this.#place.listener.onSnapshot({ ...picture, reason })
    this.#started.resolve()
  }

  async #readPicture(): Promise<Omit<Snapshot, 'reason'>> {
    for (;;) {
      const before = await this.#attend()
      const state = await this.#readState()
      const after = await this.#readHead()
      const recent = await this.#readRecent(before)
      const { epoch } = await this.#readHead()
      const head = recent.at(-1)?.seq ?? after.seq
      // What changed while the state was read may be missing there, so the stream must have it.
      const isWhole = head >= after.seq && (recent[0]?.seq ?? head + 1) <= before.seq + 1
      if (epoch !== before.epoch || after.epoch !== before.epoch || !isWhole) continue
      for (const entry of recent) {
        const key = mergeKey(entry)
        if (entry.isLate || updateClass[entry.kind] !== 'merge') continue
        if ((state.get(key)?.seq ?? 0) < entry.seq) state.set(key, entry)
      }
      return { epoch, head, state: [...state.values()].toSorted((a, b) => a.seq - b.seq), recent }
    }
  }

  async #readState(): Promise<Map<string, Entry>> {
    const { commands, keys } = this.#place
    const state = new Map<string, Entry>()
    for (let position = '0'; ;) {
      const [next, found] = await commands.hscan(keys.state, position, 'COUNT', stateCount)
      for (let index = 0; index + 1 < found.length; index += 2) {
        const entry = this.#read(() => parseState(found[index]!, found[index + 1]!))
        if (entry) state.set(found[index]!, entry)
      }
      position = next
      if (position === '0') return state
    }
  }

  /** The end of the stream that is without a hole; everything behind `seq`, and as much before it as is wanted. */
  async #readRecent({ epoch, seq }: { epoch: string; seq: number }): Promise<Entry[]> {
    const { commands, keys, maxRecent } = this.#place
    let recent: Entry[] = []
    for (let start = `${Math.max(0, seq + 1 - maxRecent)}`; ;) {
      const items = await commands.xrange(keys.stream, start, '+', 'COUNT', streamCount)
      for (const [, [, text]] of items) {
        const batch = this.#read(() => parseBatch(text ?? ''))
        const isNext = batch?.first === (recent.at(-1)?.seq ?? 0) + 1
        if (batch?.epoch !== epoch || !isNext) recent = []
        if (batch?.epoch === epoch) recent.push(...batch.entries)
      }
      const last = items.at(-1)?.[0]
      if (last === undefined || items.length < streamCount) return recent
      start = `(${last}`
    }
  }

  async #attend(): Promise<{ epoch: string; seq: number }> {
    const { commands, keys } = this.#place
    const [epoch, seq] = (await runScript(
      commands,
      attendScript,
      [keys.head, keys.times, keys.state, keys.stream, keys.marks],
      [freshEpoch(), this.#epoch, this.#head],
    )) as [string, string]
    return { epoch, seq: Number(seq) }
  }

  async #readHead(): Promise<{ epoch: string | null; seq: number }> {
    const { commands, keys } = this.#place
    const [epoch, seq] = await commands.hmget(keys.head, 'epoch', 'seq')
    return { epoch: epoch ?? null, seq: Number(seq ?? 0) }
  }

  #checkLater(): void {
    this.#timer = setTimeout(async () => {
      await this.#check().catch(() => this.#setConnected(false))
      if (!this.#isClosed) this.#checkLater()
    }, checkMs)
  }

  /** Are we where the log is? */
  async #check(): Promise<void> {
    const headBefore = this.#head
    const { epoch, seq } = await this.#readHead()
    if (this.#waiting) return this.#catchUp()
    this.#setConnected(true)
    // Something that came while we asked: then we are on the way.
    if ((epoch === this.#epoch && seq === this.#head) || this.#head !== headBefore) return
    this.#deafChecks++
    // Twice: the subscription is dead, though nobody said so.
    if (this.#deafChecks === 2) this.#subscription.reconnect()
    this.#catchUp()
  }

  #setConnected(isConnected: boolean): void {
    // Before the first snapshot there is nothing to lose.
    if (this.#isConnected === isConnected || this.#isClosed || this.#epoch === '') return
    this.#isConnected = isConnected
    this.#place.listener.onConnected?.(isConnected)
  }

  #read<T>(parse: () => T): T | undefined {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof MalformedBatch)) throw error
      this.#report(error)
      return undefined
    }
  }

  #report(error: unknown): void {
    this.#place.onError?.(error instanceof Error ? error : new Error(String(error)))
  }
}
