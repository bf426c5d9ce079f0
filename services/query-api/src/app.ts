import type { HealthCheck } from '@flasktoria/service-kit/health'
import type { Logger } from '@flasktoria/service-kit/logger'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Hono } from 'hono'
import { serveDocumentation } from './documentation.ts'
import { allowAnyOrigin, answerErrors, observeRequests } from './edge.ts'
import { createHandlers, type HandlerDependencies } from './handlers.ts'
import { preflight, serveOperations } from './operation-routes.ts'
import { serveHealth } from './operations-port.ts'
import { Problem } from './problem.ts'
import type { RequestEnv } from './request-env.ts'
import type { RequestMetrics } from './request-metrics.ts'

export type AppDependencies = HandlerDependencies & {
  maxBodyBytes: number
  metrics: Metrics
  requestMetrics: RequestMetrics
  logger: Logger
}

/** The REST API, without a port: `app.fetch` is all of it. */
export function createApp(dependencies: AppDependencies): Hono<RequestEnv> {
  const { window, history, maxBodyBytes, metrics, requestMetrics, logger } = dependencies
  const app = new OpenAPIHono<RequestEnv>()
  app.use(observeRequests(requestMetrics), allowAnyOrigin)
  app.onError(answerErrors(logger, requestMetrics))
  app.notFound((c) => {
    if (c.req.method === 'OPTIONS') return preflight(c, 'GET, HEAD, POST, OPTIONS')
    throw new Problem('not_found')
  })
  serveOperations(app, createHandlers(dependencies), { maxBodyBytes })
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
