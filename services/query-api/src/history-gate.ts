import { Problem } from './problem.ts'

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
   * Runs the questions of one request under one signal: when the client goes away, or one of them fails, all are cancelled.
   * @throws Problem `overloaded`
   */
  async run<T>(client: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#running >= this.#maxRequests) throw new Problem('overloaded')
    this.#running++
    const over = new AbortController()
    try {
      return await ask(AbortSignal.any([client, over.signal]))
    } finally {
      this.#running--
      over.abort()
    }
  }
}
