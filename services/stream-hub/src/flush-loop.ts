import { flushIntervalMs, type PaceBounds } from './pace.ts'

/** What the loop drives; see `Hub`. */
export type Flushable = {
  readonly hasPending: boolean
  flush(): void
  catchUp(budgetMs: number): boolean
  sweep(): void
}

/** Then the event loop has its turn: sockets, and the next flush. */
const catchUpBudgetMs = 8
const sweepIntervalMs = 1_000
/** How much one flush counts in the average of their cost. */
const smoothing = 0.2

/**
 * Decides when: the first update after a quiet time is flushed at once, the next ones together after an interval that grows
 * with what a flush costs.
 */
export class FlushLoop {
  readonly #hub: Flushable
  readonly #bounds: PaceBounds
  readonly #now: () => number
  readonly #sweeper: NodeJS.Timeout
  #immediate: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined
  #flushedAtMs = -Infinity
  #costMs = 0

  constructor(hub: Flushable, bounds: PaceBounds, now: () => number) {
    this.#hub = hub
    this.#bounds = bounds
    this.#now = now
    this.#sweeper = setInterval(() => hub.sweep(), sweepIntervalMs)
  }

  wake(): void {
    this.#immediate ??= setImmediate(() => this.#run())
  }

  stop(): void {
    clearInterval(this.#sweeper)
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
  }

  #run(): void {
    this.#immediate = undefined
    this.#flushWhenDue()
    if (this.#hub.catchUp(catchUpBudgetMs)) this.wake()
  }

  #flushWhenDue(): void {
    if (!this.#hub.hasPending || this.#timer) return
    const waitMs = this.#flushedAtMs + flushIntervalMs(this.#costMs, this.#bounds) - this.#now()
    if (waitMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#run()
      }, waitMs)
      return
    }
    const startedAtMs = this.#now()
    this.#hub.flush()
    this.#flushedAtMs = startedAtMs
    this.#costMs += (this.#now() - startedAtMs - this.#costMs) * smoothing
  }
}
