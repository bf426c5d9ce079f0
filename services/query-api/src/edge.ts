import { isV1 } from '@flasktoria/contracts/operation'
import { errorBody, problemBody, problemMediaType, problems } from '@flasktoria/contracts/problems'
import type { Logger } from '@flasktoria/service-kit/logger'
import { WarehouseError } from '@flasktoria/warehouse/warehouse'
import { randomUUID } from 'node:crypto'
import type { Context, ErrorHandler, MiddlewareHandler } from 'hono'
import { problemOf, type Problem } from './problem.ts'
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
    metrics.count(operation, status, (performance.now() - startedAt) / 1_000)
  }

/** Lets whoever answers a request report what failed: our sentence per failure, for the log. */
export const reportProblems =
  (logger: Logger, metrics: RequestMetrics): MiddlewareHandler<RequestEnv> =>
  (c, next) => {
    c.set('report', ({ code, cause }) => {
      if (cause instanceof WarehouseError) metrics.warehouseFailures.inc({ kind: cause.kind })
      if (problems[code].status < 500 || cause === undefined || c.req.raw.signal.aborted) return
      const facts = { requestId: c.get('requestId'), operation: c.get('operation') }
      if (code === 'internal') logger.error({ ...facts, err: cause }, 'a request failed')
      // Foreseen: our own stack would tell an operator nothing.
      else logger.warn({ ...facts, problem: code, reason: reasonOf(cause) }, 'a request could not be answered')
    })
    return next()
  }

/** The one place where an error becomes an answer: the caller's sentence per failure. */
export const answerErrors: ErrorHandler<RequestEnv> = (error, c) => {
  const problem = problemOf(error)
  c.get('report')(problem)
  return answerProblem(c, problem)
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

export function answerProblem(c: Context<RequestEnv>, { code, message, fields }: Problem) {
  const { status } = problems[code]
  if (status === 503) c.header('Retry-After', String(retryAfterSeconds))
  if (!isV1(c.req.path)) return c.json(errorBody(code, message, fields), status)
  const body = problemBody(code, c.get('requestId'), message, fields)
  return c.body(JSON.stringify(body), status, { 'Content-Type': problemMediaType })
}
