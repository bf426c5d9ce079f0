import { Problem } from './problem.ts'
import { isOverdue } from './request-deadline.ts'

/** Bounds how many requests ask the warehouse at once: the next one is told to come back, at once. */
export class HistoryGate {
  readonly #maxRequests: number
  #running = 0

  constructor(maxRequests: number) {
    this.#maxRequests = maxRequests
  }

  get running(): number {
    return this.#running
  }

  /**
   * Runs the questions of one request under one signal: when nobody waits any more, or one of them fails, all are cancelled.
   * @throws Problem `overloaded`, and `query_timeout` when the caller has waited for as long as it wanted to
   */
  async run<T>(waits: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    using turn = this.#enter(waits)
    try {
      return await ask(turn.signal)
    } catch (error) {
      throw inTime(waits, error)
    }
  }

  /** The same for an answer that comes in pieces: it counts until its end, or until the consumer leaves. */
  async *stream<T, End>(
    waits: AbortSignal,
    ask: (signal: AbortSignal) => AsyncGenerator<T, End>,
  ): AsyncGenerator<T, End> {
    using turn = this.#enter(waits)
    try {
      return yield* ask(turn.signal)
    } catch (error) {
      throw inTime(waits, error)
    }
  }

  #enter(waits: AbortSignal): Disposable & { signal: AbortSignal } {
    if (this.#running >= this.#maxRequests) throw new Problem('overloaded')
    this.#running++
    const over = new AbortController()
    return {
      signal: AbortSignal.any([waits, over.signal]),
      [Symbol.dispose]: () => {
        this.#running--
        over.abort()
      },
    }
  }
}

const inTime = (waits: AbortSignal, error: unknown): unknown =>
  isOverdue(waits) ? new Problem('query_timeout', undefined, [], { cause: error }) : error
