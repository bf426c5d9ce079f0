import { ConfigError } from '@flasktoria/service-kit/config'
import type { Logger } from '@flasktoria/service-kit/logger'
import type { Metrics } from '@flasktoria/service-kit/metrics'
import type { Config } from './config.ts'
import { loadUws } from './socket-uws.ts'
import { listenWithWs } from './socket-ws.ts'
import type { Listen, SocketServer, SocketServerOptions } from './transport.ts'

type Deps = { choice: Config['TRANSPORT']; logger: Logger; metrics: Metrics }

/** Listens with the library of choice; `auto` falls back to `ws`, and says so. @throws ConfigError when the library that was asked for does not load, or the port can't be had */
export async function listen(deps: Deps, options: SocketServerOptions): Promise<SocketServer> {
  const listenWith = await choose(deps)
  const server = await listenWith(options)
  deps.metrics
    .gauge<'transport'>('stream_transport_info', '1 for the library that serves the sockets.', ['transport'])
    .set({ transport: server.transport }, 1)
  return server
}

async function choose({ choice, logger }: Deps): Promise<Listen> {
  if (choice === 'ws') return listenWithWs
  try {
    return await loadUws()
  } catch (error) {
    if (choice === 'uws' || !(error instanceof ConfigError)) throw error
    logger.warn(
      { err: error },
      'the sockets are served by ws, which carries fewer clients: uWebSockets.js does not load',
    )
    return listenWithWs
  }
}
