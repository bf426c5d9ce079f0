import type { HealthCheck } from '@flasktoria/service-kit/health'
import type { Logger } from '@flasktoria/service-kit/logger'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Hono } from 'hono'
import type { AllowedOrigins } from './cors.ts'
import { serveDocumentation } from './documentation.ts'
import { answerErrors, passEdge } from './edge.ts'
import { createHandlers, type HandlerDependencies } from './handlers.ts'
import { preflight, serveOperations } from './operation-routes.ts'
import { serveHealth } from './operations-port.ts'
import { Problem } from './problem.ts'
import { limitRate, type RatePolicy } from './rate-limit.ts'
import { limitWait } from './request-deadline.ts'
import type { RequestEnv } from './request-env.ts'
import type { RequestMetrics } from './request-metrics.ts'

export type AppDependencies = HandlerDependencies & {
  maxBodyBytes: number
  /** Whose pages may read the answers. */
  origins: AllowedOrigins
  /** How often one client may ask about the past. */
  historyRate: RatePolicy
  /** Longest that a question may take. */
  maxWaitMs: number
  /** So long after its end a period changes no more. */
  settledAfterMs: number
  metrics: Metrics
  requestMetrics: RequestMetrics
  logger: Logger
}

/** The REST API, without a port: `app.fetch` is all of it. */
export function createApp(dependencies: AppDependencies): Hono<RequestEnv> {
  const { window, history, watermark, maxBodyBytes, origins, metrics, requestMetrics, logger, now } = dependencies
  const settledBefore = () => Math.min(now() - dependencies.settledAfterMs, watermark?.completeTo() ?? -Infinity)
  const app = new OpenAPIHono<RequestEnv>()
  app.use(passEdge({ origins, settledBefore, metrics: requestMetrics, logger }))
  app.onError(answerErrors)
  app.notFound((c) => {
    if (c.req.method === 'OPTIONS') return preflight(c, 'GET, HEAD, POST, OPTIONS')
    throw new Problem('not_found')
  })
  const beforeHistory = [limitRate(dependencies.historyRate, now), limitWait(dependencies.maxWaitMs)]
  serveOperations(app, createHandlers(dependencies), { maxBodyBytes, beforeHistory })
  serveDocumentation(app)
  serveHealth(app, healthChecks(window, history), metrics)
  return app
}

const healthChecks = (
  window: HandlerDependencies['window'],
  history: HandlerDependencies['history'],
): HealthCheck[] => [
  { name: 'live log', failing: () => (window.hasSnapshot ? undefined : 'was not read yet') },
  { name: 'live log connection', isDegradedOnly: true, failing: () => (window.isConnected ? undefined : 'is away') },
  ...(history ? [{ name: 'warehouse', isDegradedOnly: true, failing: () => history.failing() }] : []),
]
