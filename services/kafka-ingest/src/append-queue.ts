import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import type { Gathering } from './gathering.ts'
import { unlessAborted } from './unless-aborted.ts'

/** Who brings so much may bring the next at once. */
const enough = 500

/**
 * Makes few appends of many: each costs the log, and every reader of it, far more than an update in it. What comes from
 * several partitions at once is appended together; and who brings only a little is held for up to `intervalMs` after it was
 * appended, so that more comes next time. Nothing that has come waits for it. Appends never overlap, so batches that come one
 * after the other stay in order.
 */
export class AppendQueue {
  readonly #open: () => Gathering
  readonly #append: (gathering: Gathering, signal: AbortSignal) => Promise<void>
  readonly #intervalMs: number
  #lot: Lot
  #isRunning = false

  /**
   * @param open makes an empty gathering
   * @param append appends one, however long that takes; `signal` aborts when nobody waits for it any more
   */
  constructor(
    open: () => Gathering,
    append: (gathering: Gathering, signal: AbortSignal) => Promise<void>,
    intervalMs: number,
  ) {
    this.#open = open
    this.#append = append
    this.#intervalMs = intervalMs
    this.#lot = new Lot(open())
  }

  /** What is put in here at once goes into one append. */
  get gathering(): Gathering {
    return this.#lot.gathering
  }

  /**
   * Resolves when the log took what is gathered, rejects as its append did, or when `signal` aborts: some of it may be
   * appended all the same.
   */
  async appended(signal: AbortSignal): Promise<void> {
    const lot = this.#lot
    lot.waiting++
    if (!this.#isRunning) void this.#run()
    try {
      await unlessAborted(lot.done.promise, signal)
    } finally {
      lot.leave()
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#lot.waiting > 0) {
      // The partitions of one fetch are handed over one after the other.
      await setImmediate()
      const startedAtMs = performance.now()
      const lot = this.#lot
      this.#lot = new Lot(this.#open())
      try {
        await this.#append(lot.gathering, lot.close())
        const restMs = lot.gathering.facts < enough ? startedAtMs + this.#intervalMs - performance.now() : 0
        void lot.release(restMs)
      } catch (error) {
        lot.done.reject(error)
      }
    }
    this.#isRunning = false
  }
}

/** What is appended together, and how many wait for that. */
class Lot {
  readonly gathering: Gathering
  readonly done = Promise.withResolvers<void>()
  waiting = 0
  readonly #abandoned = new AbortController()
  #isClosed = false

  constructor(gathering: Gathering) {
    this.gathering = gathering
    // Those who wait hear of it; there may be none any more.
    this.done.promise.catch(() => {})
  }

  /** Nothing more comes in. The signal aborts when nobody waits any more. */
  close(): AbortSignal {
    this.#isClosed = true
    this.#abandonIfEmpty()
    return this.#abandoned.signal
  }

  leave(): void {
    this.waiting--
    this.#abandonIfEmpty()
  }

  #abandonIfEmpty(): void {
    if (this.#isClosed && this.waiting === 0) this.#abandoned.abort()
  }

  async release(afterMs: number): Promise<void> {
    if (afterMs > 0) await delay(afterMs)
    this.done.resolve()
  }
}
