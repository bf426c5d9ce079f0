/** What the loop drives; see `Hub`. */
export type Flushable = {
  /** Flushes a lane if one is due; answers in how many milliseconds the next one is. */
  flushDue(): number
  catchUp(budgetMs: number): boolean
  sweep(share: number): void
}

/** Then the event loop has its turn: sockets, and the next flush. */
const catchUpBudgetMs = 8
/** Every session is looked at once a second, a part of them at a time. */
const sweepIntervalMs = 100
const sweepShare = 0.1

/** Gives the hub its turns, and the event loop one between any two of them. */
export class FlushLoop {
  readonly #hub: Flushable
  readonly #sweeper: NodeJS.Timeout
  #immediate: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined
  #isSoon = false
  #isStopped = false

  constructor(hub: Flushable) {
    this.#hub = hub
    this.#sweeper = setInterval(() => hub.sweep(sweepShare), sweepIntervalMs)
  }

  wake(): void {
    this.#immediate ??= setImmediate(() => this.#run())
  }

  /** What came with the same read is flushed together, and a flush that is due needs no turn of its own. */
  flushSoon(): void {
    if (this.#isSoon) return
    this.#isSoon = true
    queueMicrotask(() => {
      this.#isSoon = false
      if (!this.#immediate && !this.#isStopped) this.#waitFor(this.#hub.flushDue())
    })
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#sweeper)
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
  }

  #run(): void {
    this.#immediate = undefined
    const waitMs = this.#hub.flushDue()
    const hasMore = this.#hub.catchUp(catchUpBudgetMs)
    if (hasMore) this.wake()
    else this.#waitFor(waitMs)
  }

  #waitFor(waitMs: number): void {
    clearTimeout(this.#timer)
    if (waitMs <= 0) this.wake()
    // A timer leaves fractions off: it would come too early, for nothing.
    else if (waitMs < Infinity) this.#timer = setTimeout(() => this.#run(), Math.ceil(waitMs))
  }
}
