import { healthPaths, readHealth, type HealthCheck } from '@flasktoria/service-kit/health'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import type { HttpAnswer } from './transport.ts'

const json = (status: number, body: unknown): HttpAnswer => ({
  status,
  contentType: 'application/json',
  body: JSON.stringify(body),
})

/** What the platform asks, on the same port as the sockets; nginx does not pass these paths on. */
export const createOperations =
  (checks: readonly HealthCheck[], { registry }: Metrics) =>
  async (path: string): Promise<HttpAnswer | undefined> => {
    switch (path) {
      case healthPaths.live:
        return json(200, { status: 'ok' })
      case healthPaths.ready: {
        const report = await readHealth(checks)
        return json(report.status === 'unready' ? 503 : 200, report)
      }
      case healthPaths.metrics:
        return { status: 200, contentType: registry.contentType, body: await registry.metrics() }
      default:
        return undefined
    }
  }
