import { exactDecimal, type FetchedRows } from './hs2-columns.ts'
import type { Column, Hs2Connection, OperationHandle } from './hs2-connection.ts'
import { abortable, settledWithin, sleep, type Limit } from './hs2-limit.ts'
import { WarehouseError, type Cell, type ColumnBatch } from './warehouse.ts'

const leastPollMs = 4
const mostPollMs = 1000
/** Of the time that it took so far: an engine that doesn't hold its answer back costs us no more than that on top. */
const pollShare = 1 / 8

export type StatementOptions = {
  sql: string
  limit: Limit
  /** Impala alone knows an overlay, and refuses a statement for any key in it that it doesn't know. */
  hasOverlay: boolean
  fetchRows: number
  /** How long a call that is under way may take to come back once the statement was cancelled. */
  graceMs: number
}

/** Where the time of a statement went, and what came back. */
export type StatementUsage = { executeMs: number; waitMs: number; fetchMs: number; rows: number }

/** Cancels and closes an operation from another connection; the statement's own one may be busy or lost. */
export type CancelElsewhere = (operation: OperationHandle) => Promise<void>

/**
 * One statement on one connection:
 *
 *   start() ──► accepted ──► finished ──► batches() ──► all read
 *      └────────────┴────────────┴────────────┴── error, abort, deadline, or nobody reads on
 *                                                     └──► end(): the engine stops, the connection is free or failed
 */
export class Statement {
  readonly usage: StatementUsage = { executeMs: 0, waitMs: 0, fetchMs: 0, rows: 0 }
  /** False as long as it is certain that the engine has not begun with it. */
  mayHaveRun = false
  readonly #connection: Hs2Connection
  readonly #options: StatementOptions
  #operation: OperationHandle | undefined
  /** The engine works on it no more: all rows are read, or it said how it failed. */
  #isOver = false
  #underWay: Promise<unknown> = Promise.resolve()

  constructor(connection: Hs2Connection, options: StatementOptions) {
    this.#connection = connection
    this.#options = options
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Undefined until the engine has accepted it. */
  get operation(): OperationHandle | undefined {
    return this.#operation
  }

  /** Until the engine has its result ready. @throws WarehouseError */
  async start(): Promise<void> {
    const operation = await this.#timed('executeMs', () => this.#execute())
    await this.#timed('waitMs', () => this.#untilFinished(operation))
  }

  /** The rows, fetched when they are asked for. @throws WarehouseError */
  async *batches(): AsyncGenerator<ColumnBatch, void, void> {
    const operation = this.#operation!
    if (!operation.hasResultSet) {
      this.#isOver = true
      return
    }
    // The server answers in order: the names and the first rows take one way there and back.
    const both = () => Promise.all([this.#connection.columns(operation), this.#fetch(operation)])
    const [columns, first] = await this.#timed('fetchMs', () => this.#call(both))
    const names = columns.map((column) => column.name)
    let rows = first
    for (let lastRowsAt = performance.now(); ;) {
      if (rows.rowCount > 0) {
        this.usage.rows += rows.rowCount
        yield { columns: names, rowCount: rows.rowCount, values: withExactDecimals(rows.columns, columns) }
        lastRowsAt = performance.now()
      } else if (rows.hasMoreRows) await this.#pause(lastRowsAt)
      else break
      rows = await this.#timed('fetchMs', () => this.#call(() => this.#fetch(operation)))
    }
    this.#isOver = true
  }

  /** Leaves nothing behind in the engine, and the connection either free or failed. Never rejects. */
  async end(cancelElsewhere: CancelElsewhere): Promise<void> {
    const connection = this.#connection
    if (this.#isOver && this.#operation && !connection.failure) {
      await connection.closeOperation(this.#operation).catch(() => {})
      if (!connection.failure) return
    }
    // Without a handle yet there is nothing to cancel; the answer to ExecuteStatement brings it.
    const isAnswered = this.#operation !== undefined || (await this.#isBackInTime())
    const isBack = isAnswered && this.#isBackInTime()
    if (this.#operation) await cancelElsewhere(this.#operation).catch(() => {})
    if (!(await isBack))
      connection.fail(new WarehouseError('unavailable', `no answer after a cancel (${connection.endpoint})`))
  }

  #isBackInTime(): Promise<boolean> {
    return settledWithin(this.#underWay, this.#options.graceMs)
  }

  async #execute(): Promise<OperationHandle> {
    const { sql, limit, hasOverlay, graceMs } = this.#options
    // Our own deadline comes first; the engine's is for the case that we don't live to see it.
    const serverTimeLimitS = Math.max(1, Math.ceil(limit.remainingMs / 1000)) + 1
    const options = {
      withinMs: limit.remainingMs + graceMs,
      serverTimeLimitS,
      ...(hasOverlay && { overlay: { EXEC_TIME_LIMIT_S: String(serverTimeLimitS) } }),
    }
    return this.#call(async () => {
      this.mayHaveRun = true
      try {
        return (this.#operation = await this.#connection.execute(sql, options))
      } catch (error) {
        this.mayHaveRun = this.#connection.failure !== undefined
        throw error
      }
    })
  }

  async #untilFinished(operation: OperationHandle): Promise<void> {
    const since = performance.now()
    while ((await this.#call(() => this.#connection.operationState(operation))) !== 'finished') await this.#pause(since)
  }

  #pause(since: number): Promise<void> {
    const soFarMs = performance.now() - since
    const ms = Math.min(Math.max(soFarMs * pollShare, leastPollMs), mostPollMs)
    return sleep(ms, this.#options.limit.signal)
  }

  #fetch(operation: OperationHandle): Promise<FetchedRows> {
    const { limit, fetchRows, graceMs } = this.#options
    return this.#connection.fetch(operation, fetchRows, limit.remainingMs + graceMs)
  }

  async #timed<T>(phase: 'executeMs' | 'waitMs' | 'fetchMs', work: () => Promise<T>): Promise<T> {
    const since = performance.now()
    try {
      return await work()
    } finally {
      this.usage[phase] += performance.now() - since
    }
  }

  /**
   * Nothing is sent once the limit is reached: the connection may be another's by then. What is under way is left to come
   * back, or not, and the caller goes on at once.
   */
  async #call<T>(send: () => Promise<T>): Promise<T> {
    const { signal } = this.#options.limit
    signal.throwIfAborted()
    const answer = send()
    this.#underWay = answer
    try {
      return await abortable(answer, signal)
    } catch (error) {
      // An error that left the connection intact is the engine's last word on the statement.
      if (!signal.aborted) this.#isOver = true
      throw error
    }
  }
}

const withExactDecimals = (values: Cell[][], columns: readonly Column[]): Cell[][] =>
  values.map((column, position) =>
    columns[position]?.isDecimal
      ? column.map((cell) => (typeof cell === 'string' ? exactDecimal(cell) : cell))
      : column,
  )
