import type { Hs2Session } from './hs2-session.ts'
import type { Limit } from './hs2-limit.ts'
import { queryId, type OperationHandle } from './hs2-connection.ts'
import { Statement, type StatementUsage } from './hs2-statement.ts'
import type { Lease, Pool } from './pool.ts'
import { WarehouseError, type ColumnBatch } from './warehouse.ts'

/** What a statement cost, for logs and metrics. */
export type StatementReport = StatementUsage & {
  outcome: 'ok' | WarehouseError['kind']
  server: string
  /** As Impala writes it; undefined when the engine never accepted the statement. */
  queryId: string | undefined
  /** 1 for the first try. */
  attempt: number
  queueMs: number
}

export type AttemptOptions = {
  pool: Pool<Hs2Session>
  /** Cancels and closes an operation over the control connection of its server. */
  cancel: (server: number, operation: OperationHandle) => Promise<void>
  fetchRows: number
  graceMs: number
  onReport: (report: StatementReport) => void
  /** Work that outlives the attempt. */
  inBackground: (work: Promise<void>) => void
}

/**
 * One try of a statement: borrows a connection, runs it there, and gives the connection back when the engine has nothing of
 * it left. When the limit is reached that begins at once, whether or not anybody still reads.
 */
export class Attempt {
  readonly #options: AttemptOptions
  readonly #limit: Limit
  readonly #number: number
  #current: Statement | undefined
  #mayHaveRun = false
  #queueMs = 0

  constructor(options: AttemptOptions, limit: Limit, number: number) {
    this.#options = options
    this.#limit = limit
    this.#number = number
  }

  /** False as long as it is certain that the engine has not begun with it. */
  get mayHaveRun(): boolean {
    return this.#mayHaveRun
  }

  /** @throws WarehouseError */
  async *batches(sql: string): AsyncGenerator<ColumnBatch, void, void> {
    const since = performance.now()
    const lease = await this.#options.pool.acquire(this.#limit.signal)
    this.#queueMs = performance.now() - since
    let isEnding = false
    const end = (failure: unknown) => {
      if (isEnding) return
      isEnding = true
      this.#limit.signal.removeEventListener('abort', onAbort)
      this.#options.inBackground(this.#end(lease, failure))
    }
    const onAbort = () => end(this.#limit.signal.reason)
    this.#limit.signal.addEventListener('abort', onAbort)
    let failure: unknown
    try {
      for (const refresh of lease.connection.dueRefreshes()) await this.#runAside(refresh, lease)
      const statement = this.#begin(sql, lease)
      yield* this.#rowsOf(statement)
    } catch (error) {
      failure = error
      throw error
    } finally {
      end(failure)
    }
  }

  async *#rowsOf(statement: Statement): AsyncGenerator<ColumnBatch, void, void> {
    try {
      await statement.start()
    } finally {
      this.#mayHaveRun = statement.mayHaveRun
    }
    yield* statement.batches()
  }

  /** Runs a statement whose failure doesn't matter, unless the connection failed with it. */
  async #runAside(sql: string, lease: Lease<Hs2Session>): Promise<void> {
    const statement = this.#begin(sql, lease)
    try {
      await statement.start()
      for await (const _ of statement.batches());
    } catch (error) {
      if (this.#limit.signal.aborted || lease.connection.failure || isLost(error)) throw error
    }
    await statement.end((operation) => this.#options.cancel(lease.server, operation))
  }

  #begin(sql: string, lease: Lease<Hs2Session>): Statement {
    const { fetchRows, graceMs } = this.#options
    const { connection, hasOverlay } = lease.connection
    return (this.#current = new Statement(connection, { sql, limit: this.#limit, hasOverlay, fetchRows, graceMs }))
  }

  async #end(lease: Lease<Hs2Session>, failure: unknown): Promise<void> {
    const statement = this.#current
    await statement?.end((operation) => this.#options.cancel(lease.server, operation))
    lease.release({ isSuspect: isLost(failure) })
    if (statement) this.#report(statement, lease, failure)
  }

  #report(statement: Statement, lease: Lease<Hs2Session>, failure: unknown): void {
    const leftEarly = statement.isOver ? 'ok' : 'cancelled'
    this.#options.onReport({
      ...statement.usage,
      outcome: failure instanceof WarehouseError ? failure.kind : leftEarly,
      server: lease.connection.connection.endpoint,
      queryId: statement.operation && queryId(statement.operation),
      attempt: this.#number,
      queueMs: this.#queueMs,
    })
  }
}

/** The server, the connection or the session is gone: another try may find another. */
export const isLost = (error: unknown): boolean => error instanceof WarehouseError && error.kind === 'unavailable'
