import { isV1 } from '@flasktoria/contracts/operation'
import { errorBody, problemBody, problemMediaType, problems } from '@flasktoria/contracts/problems'
import type { Logger } from '@flasktoria/service-kit/logger'
import { WarehouseError } from '@flasktoria/warehouse/warehouse'
import { randomUUID } from 'node:crypto'
import type { Context, ErrorHandler, MiddlewareHandler } from 'hono'
import { describeCaching } from './caching.ts'
import { compressIfStream } from './compression.ts'
import { allowOrigin, type AllowedOrigins } from './cors.ts'
import { problemOf, type Problem } from './problem.ts'
import type { RequestEnv } from './request-env.ts'
import type { RequestMetrics } from './request-metrics.ts'

const retryAfterSeconds = 2
const requestIdPattern = /^[\w.-]{1,64}$/

export type EdgeOptions = {
  /** Whose pages may read the answers. */
  origins: AllowedOrigins
  /** What ended before it changes no more. */
  settledBefore: () => number
  metrics: RequestMetrics
  logger: Logger
}

/** What every request passes on its way in, and its answer on the way out: one place, in this order. */
export const passEdge =
  ({ origins, settledBefore, metrics, logger }: EdgeOptions): MiddlewareHandler<RequestEnv> =>
  async (c, next) => {
    const startedAt = performance.now()
    nameRequest(c)
    c.set('report', (problem) => reportProblem(c, problem, metrics, logger))
    allowOrigin(c, origins)
    await next()
    await compressIfStream(c)
    describeCaching(c, settledBefore)
    // 499: nobody waits for the answer any more, as nginx writes it.
    const status = c.req.raw.signal.aborted ? 499 : c.res.status
    metrics.count(c.get('operation') ?? 'other', status, (performance.now() - startedAt) / 1_000)
  }

/** As nginx does, or by itself. */
function nameRequest(c: Context<RequestEnv>): void {
  const given = c.req.header('X-Request-Id')
  const id = given !== undefined && requestIdPattern.test(given) ? given : randomUUID()
  c.set('requestId', id)
  c.header('X-Request-Id', id)
}

/** Counts what failed, and says it in our own sentence for the log. */
function reportProblem(c: Context<RequestEnv>, { code, cause }: Problem, metrics: RequestMetrics, logger: Logger) {
  if (cause instanceof WarehouseError) metrics.warehouseFailures.inc({ kind: cause.kind })
  if (problems[code].status < 500 || cause === undefined || c.req.raw.signal.aborted) return
  const facts = { requestId: c.get('requestId'), operation: c.get('operation') }
  if (code === 'internal') logger.error({ ...facts, err: cause }, 'a request failed')
  // Foreseen: our own stack would tell an operator nothing.
  else logger.warn({ ...facts, problem: code, reason: reasonOf(cause) }, 'a request could not be answered')
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
