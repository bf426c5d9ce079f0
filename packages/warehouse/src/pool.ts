import { Circuit } from './hs2-circuit.ts'
import { abortable } from './hs2-limit.ts'
import { WarehouseError } from './warehouse.ts'

/** What the pool needs to know of a connection. */
export interface Poolable {
  /** Why it can't be used any more. */
  readonly failure: WarehouseError | undefined
  set onFailure(listener: () => void)
  close(): Promise<void>
}

export type PoolOptions<Connection> = {
  /** Names of the servers, any of which will do. */
  servers: readonly string[]
  open: (server: number) => Promise<Connection>
  connectionsPerServer: number
  maxWaiters: number
  maxWaitMs: number
  /** A connection is used no longer than this, give or take a fifth. */
  maxAgeMs: number
  /** So many failures within so long, and the server is left alone until a probe succeeds. */
  circuit: { failures: number; withinMs: number }
  /** Until a server that failed is tried in the background; doubles up to sixteen times this. */
  probeAfterMs: number
}

export type Lease<Connection> = {
  connection: Connection
  server: number
  /** Idempotent. `isSuspect`: its session is gone, and so are probably those of its idle neighbours. */
  release(options?: { isSuspect: boolean }): void
}

export type PoolUsage = { idle: number; busy: number; opening: number; waiting: number; openCircuits: number }

type Slot<Connection> = { connection: Connection; server: Server<Connection>; retiresAt: number; isIdle: boolean }
type Server<Connection> = {
  index: number
  name: string
  circuit: Circuit
  idle: Slot<Connection>[]
  opening: number
  /** Idle, busy and opening ones. */
  slots: number
  probe: NodeJS.Timeout | undefined
  probeAfterMs: number
}
type Waiter<Connection> = { resolve: (lease: Lease<Connection>) => void; reject: (error: WarehouseError) => void }

/**
 * Lends connections, each to one borrower at a time. Servers take turns; one that keeps failing is left out until it answers
 * a probe in the background, so that asking costs nothing meanwhile. Borrowers wait in order, few and not for long.
 */
export class Pool<Connection extends Poolable> {
  readonly #options: PoolOptions<Connection>
  readonly #servers: readonly Server<Connection>[]
  readonly #waiters: Waiter<Connection>[] = []
  readonly #background = new Set<Promise<void>>()
  #turn = 0
  #isClosed = false

  constructor(options: PoolOptions<Connection>) {
    this.#options = options
    this.#servers = options.servers.map((name, index) => ({
      index,
      name,
      circuit: new Circuit(options.circuit),
      idle: [],
      opening: 0,
      slots: 0,
      probe: undefined,
      probeAfterMs: options.probeAfterMs,
    }))
  }

  /** @throws WarehouseError `unavailable` or `overloaded`, or the signal's reason */
  async acquire(signal: AbortSignal): Promise<Lease<Connection>> {
    signal.throwIfAborted()
    if (this.#isClosed) throw closed()
    const idle = this.#takeIdle()
    if (idle) return this.#lend(idle)
    if (!this.hasServer) throw this.#unavailable()
    if (this.#waiters.length >= this.#options.maxWaiters)
      throw new WarehouseError('overloaded', `${this.#waiters.length} statements wait for a connection already`)
    return this.#wait(signal)
  }

  usage(): PoolUsage {
    const sum = (count: (server: Server<Connection>) => number) =>
      this.#servers.reduce((total, server) => total + count(server), 0)
    return {
      idle: sum((server) => server.idle.length),
      busy: sum((server) => server.slots - server.idle.length - server.opening),
      opening: sum((server) => server.opening),
      waiting: this.#waiters.length,
      openCircuits: sum((server) => Number(server.circuit.isOpen)),
    }
  }

  /** Why no server can be expected to answer; undefined as long as one can. */
  failing(): string | undefined {
    const reasons = this.#servers.map((server) => server.circuit.reason)
    return reasons.includes(undefined) ? undefined : reasons.join('; ')
  }

  /** False when asking for a connection now is in vain. */
  get hasServer(): boolean {
    return this.#servers.some((server) => !server.circuit.isOpen)
  }

  /** Lends no more. Resolves when all connections are closed, the lent ones too: they have to be given back. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed())
    for (const server of this.#servers) {
      clearTimeout(server.probe)
      this.#dropIdle(server)
    }
    while (this.#background.size > 0) await Promise.all(this.#background)
  }

  async #wait(signal: AbortSignal): Promise<Lease<Connection>> {
    const { promise, resolve, reject } = Promise.withResolvers<Lease<Connection>>()
    const waiter = { resolve, reject }
    this.#waiters.push(waiter)
    const timer = setTimeout(() => reject(this.#waitedTooLong()), this.#options.maxWaitMs)
    this.#openForWaiters()
    try {
      return await abortable(promise, signal)
    } catch (error) {
      const position = this.#waiters.indexOf(waiter)
      if (position >= 0) this.#waiters.splice(position, 1)
      // Handed over in the same moment as the signal came.
      else promise.then((lease) => lease.release()).catch(() => {})
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #waitedTooLong(): WarehouseError {
    const { maxWaitMs } = this.#options
    if (this.usage().busy > 0)
      return new WarehouseError('overloaded', `no connection became free within ${maxWaitMs} ms`)
    return new WarehouseError('unavailable', `no connection could be opened within ${maxWaitMs} ms`)
  }

  #unavailable(): WarehouseError {
    return new WarehouseError('unavailable', this.failing() ?? 'no server can be reached')
  }

  #takeIdle(): Slot<Connection> | undefined {
    for (const server of this.#inTurn()) {
      let slot: Slot<Connection> | undefined
      while ((slot = server.idle.pop())) {
        if (performance.now() < slot.retiresAt) return slot
        this.#drop(slot)
      }
    }
    return undefined
  }

  /** All servers, each time beginning with another one. */
  #inTurn(): Server<Connection>[] {
    this.#turn = (this.#turn + 1) % this.#servers.length
    return [...this.#servers.slice(this.#turn), ...this.#servers.slice(0, this.#turn)]
  }

  #openForWaiters(): void {
    const opening = this.#servers.reduce((total, server) => total + server.opening, 0)
    for (let missing = this.#waiters.length - opening; missing > 0; missing--) {
      const server = this.#inTurn().find(
        ({ circuit, slots }) => !circuit.isOpen && slots < this.#options.connectionsPerServer,
      )
      if (!server) return
      this.#inBackground(this.#open(server))
    }
  }

  async #open(server: Server<Connection>): Promise<void> {
    server.slots++
    server.opening++
    try {
      const connection = await this.#options.open(server.index)
      server.opening--
      this.#noteSuccess(server)
      const ageMs = this.#options.maxAgeMs * (0.8 + 0.4 * Math.random())
      const slot = { connection, server, retiresAt: performance.now() + ageMs, isIdle: false }
      connection.onFailure = () => this.#forgetIdle(slot)
      this.#handOver(slot)
    } catch (error) {
      server.opening--
      server.slots--
      this.#noteFailure(server, error)
      const failure = error instanceof WarehouseError ? error : new WarehouseError('unavailable', String(error))
      this.#waiters.shift()?.reject(failure)
      if (!this.hasServer) for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#unavailable())
      this.#openForWaiters()
    }
  }

  #handOver(slot: Slot<Connection>): void {
    if (this.#isClosed || slot.connection.failure) {
      this.#replace(slot)
      return
    }
    const waiter = this.#waiters.shift()
    if (waiter) {
      waiter.resolve(this.#lend(slot))
      return
    }
    slot.isIdle = true
    slot.server.idle.push(slot)
  }

  #lend(slot: Slot<Connection>): Lease<Connection> {
    slot.isIdle = false
    let isLent = true
    const returned = Promise.withResolvers<void>()
    this.#inBackground(returned.promise)
    return {
      connection: slot.connection,
      server: slot.server.index,
      release: ({ isSuspect } = { isSuspect: false }) => {
        if (!isLent) return
        isLent = false
        const { failure } = slot.connection
        const isLost = failure?.kind === 'unavailable'
        if (isLost) this.#noteFailure(slot.server, failure)
        else if (!isSuspect) this.#noteSuccess(slot.server)
        if (isLost || isSuspect) this.#dropIdle(slot.server)
        if (isSuspect || performance.now() >= slot.retiresAt) this.#replace(slot)
        else this.#handOver(slot)
        returned.resolve()
      },
    }
  }

  #noteSuccess(server: Server<Connection>): void {
    server.circuit.succeed()
    server.probeAfterMs = this.#options.probeAfterMs
  }

  #noteFailure(server: Server<Connection>, error: unknown): void {
    if (this.#isClosed) return
    server.circuit.fail(error instanceof Error ? error.message : String(error), performance.now())
    this.#probeLater(server)
  }

  #probeLater(server: Server<Connection>): void {
    if (server.probe) return
    const delayMs = server.probeAfterMs * (0.8 + 0.4 * Math.random())
    server.probeAfterMs = Math.min(server.probeAfterMs * 2, this.#options.probeAfterMs * 16)
    server.probe = setTimeout(() => {
      server.probe = undefined
      if (server.circuit.reason === undefined) return
      if (server.slots < this.#options.connectionsPerServer) this.#inBackground(this.#open(server))
      else this.#probeLater(server)
    }, delayMs).unref()
  }

  /** An idle connection that fails is no sign of anything: servers hang up on those that do nothing. */
  #forgetIdle(slot: Slot<Connection>): void {
    if (!slot.isIdle) return
    slot.isIdle = false
    slot.server.idle = slot.server.idle.filter((other) => other !== slot)
    slot.server.slots--
    this.#openForWaiters()
  }

  #replace(slot: Slot<Connection>): void {
    this.#drop(slot)
    this.#openForWaiters()
  }

  #dropIdle(server: Server<Connection>): void {
    for (const slot of server.idle.splice(0)) this.#drop(slot)
  }

  #drop(slot: Slot<Connection>): void {
    slot.isIdle = false
    slot.server.slots--
    this.#inBackground(slot.connection.close().catch(() => {}))
  }

  #inBackground(work: Promise<void>): void {
    this.#background.add(work)
    void work.finally(() => this.#background.delete(work))
  }
}

const closed = () => new WarehouseError('unavailable', 'the pool is closed')
