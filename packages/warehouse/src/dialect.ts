/** How an engine writes what must never be spliced into SQL by hand. */
export type Dialect = {
  name: 'duckdb' | 'spark' | 'hive' | 'impala'
  /** @throws RangeError on a NUL character or a lone surrogate, which no engine keeps */
  text: (value: string) => string
  /** @throws RangeError unless it is a safe integer */
  integer: (value: number) => string
  /** Quotes one identifier. @throws RangeError when empty, or on a quote, a backslash, a dollar or a control character */
  identifier: (name: string) => string
  /** A cast that gives NULL instead of an error. */
  tryCast: (expression: string, type: 'bigint' | 'double') => string
  /** What an expression is in the row whose keys are the least, or the greatest, in order. Undefined: there is no such aggregate. */
  rowOf: { least: RowOf; greatest: RowOf } | undefined
  /** Makes the session see files that came since it last looked at the table. Undefined where every statement looks anew. */
  refresh: ((table: string) => string) | undefined
}
type RowOf = (expression: string, ...keys: readonly string[]) => string
