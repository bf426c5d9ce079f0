import type { Dialect } from './dialect.ts'

/** Some rows of an answer, by column. A cell is null where the row has none. */
export type ColumnBatch = { columns: readonly string[]; rowCount: number; values: readonly (readonly Cell[])[] }
/** Integers beyond 2^53 come as bigint, everything else that fits as number. */
export type Cell = string | number | bigint | boolean | null

export type QueryOptions = {
  signal: AbortSignal
  /** From the call to the last row. */
  deadlineMs: number
  /** The answer fails with `too_large` beyond it; ask with LIMIT to be told less. */
  maxRows: number
}

/** The SQL engine with the history. */
export interface Warehouse {
  readonly dialect: Dialect
  /** Set where answers are held as a whole before their first row comes: ask for more rows than so many in parts. */
  readonly pageRows?: number
  /**
   * Runs one statement. Batches come as the consumer asks for them; leaving the loop, an abort or the deadline cancels the
   * statement in the engine. @throws WarehouseError
   */
  query(sql: string, options: QueryOptions): AsyncIterable<ColumnBatch>
  /** A statement without an answer. @throws WarehouseError */
  execute(sql: string, options: Omit<QueryOptions, 'maxRows'>): Promise<void>
  /** Undefined when it can answer, else the reason in words. Never runs a statement. */
  failing(): string | undefined
  close(): Promise<void>
}

export type WarehouseErrorKind =
  /** The engine can't be reached, or died. Retryable. */
  | 'unavailable'
  /** No connection became free in time. Retryable, later. */
  | 'overloaded'
  /** The deadline passed. */
  | 'timeout'
  | 'cancelled'
  /** The answer has more rows than asked for. */
  | 'too_large'
  /** The engine has too little memory for it: a smaller question may do. */
  | 'out_of_memory'
  /** A table of the statement isn't there: not yet, or it has another name. Retryable, later. */
  | 'no_table'
  /** The engine refused the statement otherwise: our mistake, or a table that is not as the profile says. */
  | 'statement'

export class WarehouseError extends Error {
  override readonly name = 'WarehouseError'
  readonly kind: WarehouseErrorKind
  readonly sqlState: string | undefined

  constructor(
    kind: WarehouseErrorKind,
    message: string,
    options: ErrorOptions & { sqlState?: string | undefined } = {},
  ) {
    super(message, options)
    this.kind = kind
    this.sqlState = options.sqlState
  }
}
