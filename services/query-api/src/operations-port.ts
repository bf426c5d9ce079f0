import { errorBody } from '@flasktoria/contracts/problems'
import { healthPaths, readHealth, type HealthCheck } from '@flasktoria/service-kit/health'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import type { Hono } from 'hono'
import { serveMethods } from './operation-routes.ts'
import type { RequestEnv } from './request-env.ts'

/** What the platform asks; nginx does not pass these paths on. */
export function serveHealth(app: Hono<RequestEnv>, checks: readonly HealthCheck[], metrics: Metrics): void {
  serveMethods(app, healthPaths.live, { GET: (c) => c.json({ status: 'ok' }) })
  serveMethods(app, healthPaths.ready, {
    GET: async (c) => {
      const report = await readHealth(checks)
      if (report.status !== 'unready') return c.json(report)
      return c.json({ ...errorBody('unavailable'), ...report }, 503)
    },
  })
  serveMethods(app, healthPaths.metrics, {
    GET: async (c) => c.body(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType }),
  })
}
