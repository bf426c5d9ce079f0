import type { Hs2Status } from './hs2-columns.ts'
import { WarehouseError, type WarehouseErrorKind } from './warehouse.ts'

const maxTextLength = 500

/** What a statement says of itself comes first: a refused statement may quote any of the words below. */
const refused = /AnalysisException|ParseException|SemanticException|SyntaxException|CompileException/
const refusedSqlState = /^(?:0A|21|22|23|42|54)/
/** Spark's state, Hive's, and Impala's words. */
const noTableSqlState = /^(?:42P01|42S02)$/
const noTable = /^(?:.*: )?AnalysisException: Could not resolve table reference: /

/**
 * Impala says SQLSTATE HY000 for everything, so only the text tells what happened. Spark and Hive say most of it with
 * states of their own, but not that a session is gone.
 */
const kindByText: readonly (readonly [RegExp, WarehouseErrorKind])[] = [
  [/Memory limit exceeded|Rejected query from pool .*memory.* is greater than/i, 'out_of_memory'],
  [
    /OutOfMemory|GC overhead limit|spark\.driver\.maxResultSize|MemoryExhaustion|beyond physical memory/,
    'out_of_memory',
  ],
  [/Rejected query from pool|Admission for query exceeded timeout/i, 'overloaded'],
  [/expired due to execution time limit|expired due to client inactivity|Query timed out/i, 'timeout'],
  [/Session expired|Invalid session id|Invalid SessionHandle|Session does not exist/i, 'unavailable'],
  [/Invalid or unknown query handle|Invalid OperationHandle|Server is being shut down/i, 'unavailable'],
  [/^(?:.*: )?Cancelled\b|Query was cancell?ed/i, 'cancelled'],
  // Files were merged since the session listed them; a new one lists them anew.
  [/FileNotFoundException|No such file or directory|File does not exist/, 'unavailable'],
]

/** The state of an operation that ended, as far as it says what happened. */
export type EndState = 'error' | 'cancelled' | 'timed out' | 'invalid handle'

const kindByState: Readonly<Record<EndState, WarehouseErrorKind>> = {
  error: 'statement',
  cancelled: 'cancelled',
  'timed out': 'timeout',
  'invalid handle': 'unavailable',
}

function kindOf(state: EndState, text: string, sqlState: string | undefined): WarehouseErrorKind {
  if (state !== 'error') return kindByState[state]
  if (noTable.test(text) || (sqlState && noTableSqlState.test(sqlState))) return 'no_table'
  if (refused.test(text) || (sqlState && refusedSqlState.test(sqlState))) return 'statement'
  return kindByText.find(([pattern]) => pattern.test(text))?.[1] ?? 'statement'
}

/**
 * Servers send whole Java stacks; what happened stands in the first line, or in the next one when that only names an
 * exception and ends in a colon.
 */
function firstLine(text: string): string {
  const lines = text.split(/[\r\n]+/, 4).filter((line) => line.trim() !== '')
  const [first = '', second = ''] = lines.map((line) =>
    line.trim().replace(/^org\.apache\.[\w.]+\.HiveSQLException: /, ''),
  )
  const line = first.endsWith(':') ? `${first} ${second}`.trim() : first
  return line.length > maxTextLength ? `${line.slice(0, maxTextLength)}…` : line
}

/** The one error for all the ways in which a server says that something went wrong. `where`: query id and server, for the log. */
export function serverError(state: EndState, said: Hs2Status, where: string): WarehouseError {
  const text = firstLine(said.errorMessage ?? '') || `the server reports the state "${state}" without a reason`
  return new WarehouseError(kindOf(state, text, said.sqlState), `${text} (${where})`, { sqlState: said.sqlState })
}

/** Anything that a socket, TLS or the driver throws. */
export function transportError(cause: unknown, where: string): WarehouseError {
  if (cause instanceof WarehouseError) return cause
  const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown }
  const text = firstLine(String(message || cause))
  const said = typeof code === 'string' && !text.includes(code) ? `${code}: ${text}` : text
  return new WarehouseError('unavailable', `${said || 'no reason given'} (${where})`, { cause })
}
