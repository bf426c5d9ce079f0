/** How an engine writes what must never be spliced into SQL by hand. */
export type Dialect = {
  name: 'duckdb' | 'spark' | 'hive' | 'impala'
  /** @throws RangeError on a NUL character */
  text(value: string): string
  /** @throws RangeError unless it is a safe integer */
  integer(value: number): string
  /** Quotes one identifier. @throws RangeError on a quote or a control character */
  identifier(name: string): string
  /** A cast that gives NULL instead of an error. */
  tryCast(expression: string, type: 'bigint' | 'double'): string
}
