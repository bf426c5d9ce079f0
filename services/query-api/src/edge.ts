import { errorBody, problems } from '@flasktoria/contracts/problems'
import type { Logger } from '@flasktoria/service-kit/logger'
import { WarehouseError } from '@flasktoria/warehouse/warehouse'
import { randomUUID } from 'node:crypto'
import type { Context, ErrorHandler, MiddlewareHandler } from 'hono'
import { problemOf } from './problem.ts'
import type { RequestEnv } from './request-env.ts'
import type { RequestMetrics } from './request-metrics.ts'

const retryAfterSeconds = 2
const requestIdPattern = /^[\w.-]{1,64}$/

/** Names each request, as nginx does or by itself, and counts its outcome. */
export const observeRequests =
  (metrics: RequestMetrics): MiddlewareHandler<RequestEnv> =>
  async (c, next) => {
    const startedAt = performance.now()
    const given = c.req.header('X-Request-Id')
    c.set('requestId', given !== undefined && requestIdPattern.test(given) ? given : randomUUID())
    c.header('X-Request-Id', c.get('requestId'))
    await next()
    const operation = c.get('operation') ?? 'other'
    // 499: nobody waits for the answer any more, as nginx writes it.
    const status = c.req.raw.signal.aborted ? 499 : c.res.status
    metrics.requests.inc({ operation, status })
    metrics.seconds.observe({ operation }, (performance.now() - startedAt) / 1_000)
  }

/** Every page may read every answer; with its own origin named it may send the client's cookie along. */
export const allowAnyOrigin: MiddlewareHandler<RequestEnv> = (c, next) => {
  const origin = c.req.header('Origin')
  c.header('Access-Control-Allow-Origin', origin ?? '*')
  c.header('Vary', 'Origin')
  if (origin !== undefined) c.header('Access-Control-Allow-Credentials', 'true')
  return next()
}

/** The one place where an error becomes an answer: two sentences per failure, the caller's here and ours in the log. */
export const answerErrors =
  (logger: Logger, metrics: RequestMetrics): ErrorHandler<RequestEnv> =>
  (error, c) => {
    const problem = problemOf(error)
    const cause = problem.cause
    if (cause instanceof WarehouseError) metrics.warehouseFailures.inc({ kind: cause.kind })
    if (problems[problem.code].status >= 500 && cause !== undefined && !c.req.raw.signal.aborted) {
      const facts = { requestId: c.get('requestId'), operation: c.get('operation') }
      if (problem.code === 'internal') logger.error({ ...facts, err: cause }, 'a request failed')
      // Foreseen: our own stack would tell an operator nothing.
      else logger.warn({ ...facts, problem: problem.code, reason: reasonOf(cause) }, 'a request could not be answered')
    }
    return answerProblem(c, problem)
  }

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

export function answerProblem(c: Context<RequestEnv>, { code, message, fields }: ReturnType<typeof problemOf>) {
  const { status } = problems[code]
  if (status === 503) c.header('Retry-After', String(retryAfterSeconds))
  return c.json(errorBody(code, message, fields), status)
}
