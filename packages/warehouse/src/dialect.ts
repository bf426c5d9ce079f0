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
  /** Makes the session see files that came since it last looked at the table. Undefined where every statement looks anew. */
  refresh: ((table: string) => string) | undefined
}
