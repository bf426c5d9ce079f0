type Flight = {
  answer: Promise<unknown>
  startedAt: number
  passengers: number
  over: AbortController
  hasLanded: boolean
}

export type SingleFlightOptions = {
  /** Nobody gets an answer to a question that was asked longer ago. */
  maxAgeMs: number
  /** Beyond so many different questions each asks for itself. */
  maxFlights: number
  now: () => number
}

/**
 * Whoever asks what was asked just now gets the same answer, be it there or under way. Who leaves takes nothing from the
 * others; when all have left, the question is given up. Answers are shared: nobody may change one.
 */
export class SingleFlight {
  readonly #options: SingleFlightOptions
  readonly #flights = new Map<string, Flight>()

  constructor(options: SingleFlightOptions) {
    this.#options = options
  }

  /**
   * @param key equal exactly for equal questions
   * @param mayKeep whether an answer is small enough to be kept
   */
  async ask<T>(
    key: string,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>,
    mayKeep: (answer: T) => boolean,
  ): Promise<T> {
    signal.throwIfAborted()
    this.#forget()
    const flight = this.#flights.get(key) ?? this.#start(key, ask, mayKeep)
    if (flight === undefined) return ask(signal)
    flight.passengers++
    const left = Promise.withResolvers<never>()
    const leave = () => left.reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    try {
      return await (Promise.race([flight.answer, left.promise]) as Promise<T>)
    } finally {
      signal.removeEventListener('abort', leave)
      if (--flight.passengers === 0 && !flight.hasLanded) {
        this.#drop(key, flight)
        flight.over.abort()
      }
    }
  }

  #start<T>(
    key: string,
    ask: (signal: AbortSignal) => Promise<T>,
    mayKeep: (answer: T) => boolean,
  ): Flight | undefined {
    if (this.#flights.size >= this.#options.maxFlights) return undefined
    const over = new AbortController()
    const { promise: answer, resolve } = Promise.withResolvers<T>()
    const flight: Flight = { answer, startedAt: this.#options.now(), passengers: 0, over, hasLanded: false }
    const fly = async (): Promise<T> => {
      let isKept = false
      try {
        const it = await ask(over.signal)
        isKept = mayKeep(it)
        return it
      } finally {
        flight.hasLanded = true
        if (!isKept) this.#drop(key, flight)
      }
    }
    this.#flights.set(key, flight)
    resolve(fly())
    // There may be nobody left to hear of a failure.
    answer.catch(() => {})
    return flight
  }

  /** Those on board of one that is forgotten still get there. */
  #forget(): void {
    const since = this.#options.now() - this.#options.maxAgeMs
    for (const [key, { startedAt }] of this.#flights) if (startedAt <= since) this.#flights.delete(key)
  }

  #drop(key: string, flight: Flight): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
