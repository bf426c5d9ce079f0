/**
 * Whether a server is worth a try: open, that is not, after several failures within some time, until one success.
 * Time comes in milliseconds from anywhere, and only ever grows.
 */
export class Circuit {
  readonly #threshold: number
  readonly #withinMs: number
  #failedAt: number[] = []
  #reason: string | undefined

  constructor(options: { failures: number; withinMs: number }) {
    this.#threshold = options.failures
    this.#withinMs = options.withinMs
  }

  get isOpen(): boolean {
    return this.#failedAt.length >= this.#threshold
  }

  /** Of the last failure, if nothing has succeeded since. */
  get reason(): string | undefined {
    return this.#reason
  }

  fail(reason: string, now: number): void {
    this.#reason = reason
    if (this.isOpen) return
    this.#failedAt = [...this.#failedAt.filter((at) => now - at < this.#withinMs), now]
  }

  succeed(): void {
    this.#failedAt = []
    this.#reason = undefined
  }
}
