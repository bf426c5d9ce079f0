import { serve } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { errorBody } from '@flasktoria/contracts/problems'
import { Hono } from 'hono'
import { connect, type Socket } from 'node:net'
import type { IncomingMessage, Server } from 'node:http'

type Origin = { url: string; close(): Promise<void> }

/**
 * What nginx is in production, for one process: `/api/` to the query API, `/` to the console's files, every upgrade to the hub.
 * @throws an error with code EADDRINUSE when the port is taken
 */
export async function serveOrigin(options: {
  port: number
  api: { fetch: (request: Request, bindings: object) => Response | Promise<Response> }
  hubUrl: string
  consoleFolder: string
}): Promise<Origin> {
  const app = new Hono()
  app.all('/api/*', (c) => options.api.fetch(c.req.raw, c.env as object))
  app.get('/*', serveStatic({ root: options.consoleFolder }))
  app.notFound((c) => c.json(errorBody('not_found'), 404))

  const { promise: listening, resolve, reject } = Promise.withResolvers<number>()
  const server = serve({ fetch: app.fetch, port: options.port, hostname: '127.0.0.1' }, ({ port }) =>
    resolve(port),
  ) as Server
  server.on('error', reject)
  const hub = new URL(options.hubUrl)
  server.on('upgrade', (request, socket: Socket, head) => relay(request, socket, head, hub))
  const port = await listening

  return {
    url: `http://localhost:${port}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

/** Hands an upgrade to the hub as it came, then only moves bytes. */
function relay(request: IncomingMessage, browser: Socket, head: Buffer, hub: URL): void {
  const upstream = connect(Number(hub.port), hub.hostname)
  const headers = request.rawHeaders.flatMap((name, index, all) =>
    index % 2 === 0 ? [`${name}: ${all[index + 1]}`] : [],
  )
  upstream.write([`${request.method} ${request.url} HTTP/1.1`, ...headers, '', ''].join('\r\n'))
  upstream.write(head)
  browser.pipe(upstream).pipe(browser)
  for (const [one, other] of [
    [browser, upstream],
    [upstream, browser],
  ] as const) {
    one.setNoDelay(true)
    one.on('error', () => other.destroy())
    one.on('close', () => other.destroy())
  }
}
