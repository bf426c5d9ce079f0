import { problems, type ProblemCode } from '@flasktoria/contracts/problems'
import { WarehouseError, type WarehouseErrorKind } from '@flasktoria/warehouse/warehouse'

/** What the caller may know of a failure; the message is for a human. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  /** The names of the offending parameters. */
  readonly fields: readonly string[]

  constructor(
    code: ProblemCode,
    message: string = problems[code].title,
    fields: readonly string[] = [],
    options: ErrorOptions = {},
  ) {
    super(message, options)
    this.code = code
    this.fields = fields
  }
}

const outOfMemory = (options: ErrorOptions) =>
  new Problem(
    'question_too_large',
    'The history has too little memory for this question: ask for a shorter period, a smaller box, or fewer sensors.',
    [],
    options,
  )

export const tooManyRows = (options: ErrorOptions = {}) =>
  new Problem(
    'invalid_parameter',
    'There are too many rows in this period: ask for a shorter one, or for fewer sensors.',
    ['start_ts', 'end_ts'],
    options,
  )

const warehouseProblems: Record<Exclude<WarehouseErrorKind, 'too_large' | 'out_of_memory'>, ProblemCode> = {
  unavailable: 'warehouse_unavailable',
  overloaded: 'overloaded',
  timeout: 'query_timeout',
  cancelled: 'unavailable',
  no_table: 'warehouse_unavailable',
  statement: 'internal',
}

/** Any error as a problem. What nobody foresaw is `internal`, and its text stays inside. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (!(error instanceof WarehouseError)) return new Problem('internal', undefined, [], { cause: error })
  if (error.kind === 'too_large') return tooManyRows({ cause: error })
  if (error.kind === 'out_of_memory') return outOfMemory({ cause: error })
  return new Problem(warehouseProblems[error.kind], undefined, [], { cause: error })
}
