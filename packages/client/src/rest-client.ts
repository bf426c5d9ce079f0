import { errorSchema, problemSchema, type ErrorBody, type ProblemBody } from '@flasktoria/contracts/problems'
import { operations, type OperationId } from '@flasktoria/contracts/rest'
import type { z } from 'zod'

type Request<Id extends OperationId> = (typeof operations)[Id]['request']
type Input<Part, Key extends string> = Part extends { [K in Key]: infer Schema extends z.ZodType }
  ? { [K in Key]: z.input<Schema> }
  : unknown

/** What a call of an operation takes: `params`, `query` and `body`, as far as the operation has them. */
export type OperationInput<Id extends OperationId> = Input<Request<Id>, 'params'> &
  Input<Request<Id>, 'query'> &
  Input<Request<Id>, 'body'>
export type OperationAnswer<Id extends OperationId> = z.output<(typeof operations)[Id]['ok']['schema']>

/** An answer that is not 2xx, or not what the contract says. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly body: ErrorBody
  /** Below /api/v1. */
  readonly problem: ProblemBody | undefined

  constructor(status: number, body: ErrorBody, problem?: ProblemBody) {
    super(`${status}: ${body.message}${body.fields && ` (${body.fields})`}`)
    this.status = status
    this.body = body
    this.problem = problem
  }
}

function errorOf({ status, statusText }: Response, answer: unknown): ApiError {
  const { data: problem } = problemSchema.safeParse(answer)
  if (problem)
    return new ApiError(status, { code: status, message: problem.detail, fields: problem.fields.join(',') }, problem)
  const { data: body } = errorSchema.safeParse(answer)
  return new ApiError(status, body ?? { code: status, message: statusText, fields: '' })
}

/**
 * Calls the REST API of an origin. @throws ApiError for every answer that is not 2xx, and whatever `fetch` throws.
 * @param origin such as `http://127.0.0.1:8080`; empty in a browser on the same origin
 */
export function createRestClient(
  origin: string,
  init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
) {
  return async function call<Id extends OperationId>(
    id: Id,
    input: OperationInput<Id>,
    options: { signal?: AbortSignal } = {},
  ): Promise<OperationAnswer<Id>> {
    const { method, path, ok } = operations[id]
    const { params = {}, query = {}, body } = input as { params?: Texts; query?: Texts; body?: unknown }
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
    const search = new URLSearchParams(
      Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined),
    )
    const response = await fetch(`${origin}${filled}${search.size > 0 ? `?${search}` : ''}`, {
      ...init,
      ...options,
      method: method.toUpperCase(),
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { ...init.headers, 'content-type': 'application/json' },
      }),
    })
    const answer: unknown = await response.json().catch(() => undefined)
    if (response.ok) return ok.schema.parse(answer) as OperationAnswer<Id>
    throw errorOf(response, answer)
  }
}

type Texts = Record<string, string | undefined>
