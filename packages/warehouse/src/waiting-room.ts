import { WarehouseError } from './warehouse.ts'

type Waiter<T> = { take: (thing: T) => void; refuse: (error: WarehouseError) => void }

/** Who waits for one of a few things, in order of arrival, in bounded number and for bounded time. */
export class WaitingRoom<T> {
  readonly #free: T[]
  readonly #waiting = new Set<Waiter<T>>()
  readonly #bounds: { maxWaiting: number; maxWaitMs: number }

  constructor(things: Iterable<T>, bounds: { maxWaiting: number; maxWaitMs: number }) {
    this.#free = [...things]
    this.#bounds = bounds
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** @throws WarehouseError `overloaded`, or `cancelled` when the signal fires first */
  async take(signal: AbortSignal): Promise<T> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    const { maxWaiting, maxWaitMs } = this.#bounds
    if (this.#waiting.size >= maxWaiting) throw new WarehouseError('overloaded', `${maxWaiting} questions wait already`)
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const waiter: Waiter<T> = { take: resolve, refuse: reject }
    // Whoever is refused must be out of the room at once, or a thing given in the same turn would be lost with it.
    const leave = (error: WarehouseError) => {
      if (this.#waiting.delete(waiter)) reject(error)
    }
    const timer = setTimeout(
      () => leave(new WarehouseError('overloaded', `no connection became free within ${maxWaitMs} ms`)),
      maxWaitMs,
    )
    const onAbort = () => leave(new WarehouseError('cancelled', 'the question was withdrawn while it waited'))
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiting.add(waiter)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  give(thing: T): void {
    const [next] = this.#waiting
    if (next === undefined) this.#free.push(thing)
    else {
      this.#waiting.delete(next)
      next.take(thing)
    }
  }

  refuseAll(error: WarehouseError): void {
    for (const { refuse } of this.#waiting) refuse(error)
    this.#waiting.clear()
  }
}
