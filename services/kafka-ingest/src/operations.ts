import { healthPaths, readHealth, type HealthCheck } from '@flasktoria/service-kit/health'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { DeadLetters } from './dead-letters.ts'

type Parts = { checks: readonly HealthCheck[]; metrics: Metrics; deadLetters: DeadLetters }

const shownDeadLetters = 100

/** What the platform and its operators ask: health, metrics, and the newest records that could not be used. */
export async function serveOperations(
  { host, port }: { host: string; port: number },
  { checks, metrics, deadLetters }: Parts,
): Promise<AsyncDisposable & { url: string }> {
  const answers: Record<string, (response: ServerResponse) => void | Promise<void>> = {
    [healthPaths.live]: (response) => sendJson(response, 200, { status: 'ok' }),
    [healthPaths.ready]: async (response) => {
      const report = await readHealth(checks)
      sendJson(response, report.status === 'unready' ? 503 : 200, report)
    },
    [healthPaths.metrics]: async (response) => {
      const text = await metrics.registry.metrics()
      response.writeHead(200, { 'Content-Type': metrics.registry.contentType }).end(text)
    },
    '/dead-letters': async (response) => sendJson(response, 200, await deadLetters.read(shownDeadLetters)),
  }
  const server = createServer((request, response) => {
    const answer = answers[request.url?.split('?')[0] ?? '']
    if (!answer) return sendJson(response, 404, { message: 'There is nothing at this path.' })
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return sendJson(response, 405, { message: 'This path knows GET only.' })
    Promise.resolve(answer(response)).catch((error: unknown) =>
      sendJson(response, 503, { message: error instanceof Error ? error.message : String(error) }),
    )
  })
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

const sendJson = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
