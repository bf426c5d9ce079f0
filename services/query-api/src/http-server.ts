import { getRequestListener, RequestError } from '@hono/node-server'
import { errorBody, problems, type ProblemCode } from '@flasktoria/contracts/problems'
import type { Hono } from 'hono'
import { once } from 'node:events'
import { createServer, STATUS_CODES, type Server, type ServerResponse } from 'node:http'
import type { RequestEnv } from './request-env.ts'

/** A connection on which nothing moves: longer than the longest question takes. */
const idleMs = 120_000
/** Longer than nginx keeps its connections to us, so that it never sends a request into a closing one. */
const keepAliveTimeout = 75_000
const requestTimeout = 30_000
const drainMs = 5_000

export type HttpServer = {
  server: Server
  /** Stops accepting, lets what runs finish for a while, then hangs up. */
  stop: () => Promise<void>
}

/** Serves the app on a port of its own. What never became a request is answered like any other problem. */
export function createHttpServer(app: Hono<RequestEnv>): HttpServer {
  const listener = getRequestListener((request, env) => app.fetch(request, env), {
    errorHandler: (error) => {
      const body = errorBody(error instanceof RequestError ? 'invalid_request' : 'internal')
      return Response.json(body, { status: body.code, headers: { 'Access-Control-Allow-Origin': '*' } })
    },
  })
  const running = new Set<ServerResponse>()
  // A request without a Host gets its answer above: Node's own has no body.
  const server = createServer({ keepAliveTimeout, requestTimeout, requireHostHeader: false }, (request, response) => {
    running.add(response)
    response.on('close', () => running.delete(response))
    void listener(request, response)
  })
  server.setTimeout(idleMs)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (socket.writable && error.code !== 'ECONNRESET')
      socket.end(rawAnswer(unparsed[error.code ?? ''] ?? 'invalid_request'))
    else socket.destroy()
  })

  return {
    server,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      const deadline = AbortSignal.timeout(drainMs)
      while (running.size > 0 && !deadline.aborted)
        await Promise.race([...running].map((one) => once(one, 'close')).concat(once(deadline, 'abort')))
      server.closeAllConnections()
      await closed
    },
  }
}

const unparsed: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

function rawAnswer(code: ProblemCode): string {
  const { status } = problems[code]
  const body = JSON.stringify(errorBody(code))
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: application/json',
    'Access-Control-Allow-Origin: *',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}
