import { WarehouseError } from './warehouse.ts'

/** Settles like the promise, or rejects with the signal's reason as soon as that is aborted; the promise itself goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {})
    throw signal.reason
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Waits. @throws the signal's reason */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  try {
    await abortable(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal)
  } finally {
    clearTimeout(timer)
  }
}

/** True when the promise settled in time, either way. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, ms, false)))
  try {
    return await Promise.race([
      promise.then(
        () => true,
        () => true,
      ),
      late,
    ])
  } finally {
    clearTimeout(timer)
  }
}

/** One signal out of all that can end a statement early. Its reason is a WarehouseError: `cancelled` or `timeout`. */
export class Limit implements Disposable {
  readonly #controller = new AbortController()
  readonly #endsAt: number
  readonly #timer: NodeJS.Timeout
  readonly #caller: AbortSignal
  readonly #among: Set<Limit>

  /**
   * `since`: performance.now() at the call, as an iteration may begin later. `among`: all limits in force; this one leaves
   * them when it is reached or disposed of.
   */
  constructor(
    caller: AbortSignal,
    deadlineMs: number,
    { since = performance.now(), among = new Set<Limit>() }: { since?: number; among?: Set<Limit> } = {},
  ) {
    this.#caller = caller
    this.#endsAt = since + deadlineMs
    this.#among = among.add(this)
    this.#timer = setTimeout(this.#onDeadline, Math.max(0, this.remainingMs), deadlineMs)
    if (caller.aborted) this.#onCaller()
    else caller.addEventListener('abort', this.#onCaller, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get remainingMs(): number {
    return this.#endsAt - performance.now()
  }

  abort(reason: WarehouseError): void {
    this.#controller.abort(reason)
    this[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#caller.removeEventListener('abort', this.#onCaller)
    this.#among.delete(this)
  }

  #onDeadline = (deadlineMs: number): void =>
    this.abort(new WarehouseError('timeout', `no complete answer within ${deadlineMs} ms`))

  #onCaller = (): void =>
    this.abort(new WarehouseError('cancelled', 'the caller gave up', { cause: this.#caller.reason }))
}
