import { ConfigError } from '@flasktoria/service-kit/config'
import type {
  HttpRequest,
  HttpResponse,
  ListenOptions,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uWebSockets.js'
import type { Connection, HttpAnswer, Receiver, SendResult, SocketServer, SocketServerOptions } from './transport.ts'

type Socket = { open: (connection: Connection) => Receiver; connection?: UwsConnection; receiver?: Receiver }

const sendResults: Record<number, SendResult> = { 0: 'queued', 1: 'sent', 2: 'refused' }
const statusTexts: Record<number, string> = {
  200: '200 OK',
  403: '403 Forbidden',
  404: '404 Not Found',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
}
/** A browser sends every cookie of the origin; the default of 4 KiB would end its request without an answer. */
const maxHeaderBytes = 16 * 1024

/** Listens with uWebSockets.js. @throws ConfigError when its addon does not load, or the port can't be had */
export async function listenWithUws(options: SocketServerOptions): Promise<SocketServer> {
  const uws = await loadUws()
  // Else two hubs could share a port without knowing. The types put it into an enum that does not exist.
  const { LIBUS_LISTEN_EXCLUSIVE_PORT: exclusive } = uws as unknown as Record<string, ListenOptions>
  if (exclusive === undefined) throw new ConfigError('this uWebSockets.js cannot listen on a port alone')
  const app = uws.App()
  // First, and on any path: a request that is no upgrade goes on to the next handler.
  app.ws('/*', behavior(options))
  app.any('/*', (response, request) => void respond(response, request.getUrl(), options.answer))
  const listening = Promise.withResolvers<us_listen_socket>()
  app.listen(options.host, options.port, exclusive, (socket) => {
    if (socket) listening.resolve(socket)
    else listening.reject(new ConfigError(`PORT: ${options.host}:${options.port} can't be listened on`))
  })
  const socket = await listening.promise
  let isListening = true
  return {
    port: uws.us_socket_local_port(socket),
    stopListening() {
      if (isListening) uws.us_listen_socket_close(socket)
      isListening = false
    },
    close() {
      isListening = false
      app.close()
    },
  }
}

async function loadUws() {
  // The addon reads it when it is loaded; there is no other way to tell it.
  // oxlint-disable-next-line node/no-process-env
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(maxHeaderBytes)
  try {
    const { default: uws } = await import('uWebSockets.js')
    return uws
  } catch (cause) {
    const here = `Node ${process.version} on ${process.platform}-${process.arch}`
    throw new ConfigError(
      `uWebSockets.js has no addon that loads in ${here}: it needs Node 22, 24 or 26, on Linux glibc 2.38 or what \`node tools/uws-glibc.mjs services/stream-hub\` makes of it (2.36).`,
      { cause },
    )
  }
}

function behavior(options: SocketServerOptions): WebSocketBehavior<Socket> {
  return {
    compression: 0,
    maxPayloadLength: options.maxMessageBytes,
    maxBackpressure: options.maxBufferedBytes,
    // We close with a code that says why.
    closeOnBackpressureLimit: false,
    // 0 or 8 s at least, in steps of 4 s. Only what comes in counts.
    idleTimeout: Math.max(8, Math.ceil(options.idleTimeoutMs / 4_000) * 4),
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => upgrade(response, request, context, options),
    open(ws) {
      const socket = ws.getUserData()
      // Without any topic, a message of 16 KiB or more that is sent in `drain` may stall for ever.
      ws.subscribe('_')
      const connection = new UwsConnection(ws)
      socket.connection = connection
      socket.receiver = socket.open(connection)
    },
    message: (ws, data, isBinary) => ws.getUserData().receiver?.onMessage(new Uint8Array(data), isBinary),
    drain: (ws) => ws.getUserData().receiver?.onDrain(),
    pong: (ws) => ws.getUserData().receiver?.onPong(),
    close(ws, code) {
      const socket = ws.getUserData()
      socket.connection?.forget()
      socket.receiver?.onClose(code)
    },
  }
}

/** `request` lives on the stack and is read before anything else; nothing here waits. */
function upgrade(
  response: HttpResponse,
  request: HttpRequest,
  context: us_socket_context_t,
  { admit }: SocketServerOptions,
): void {
  const key = request.getHeader('sec-websocket-key')
  const extensions = request.getHeader('sec-websocket-extensions')
  const admission = admit({
    // Undefined where there is none, whatever the types say.
    query: request.getQuery() ?? '',
    origin: request.getHeader('origin'),
    cookie: request.getHeader('cookie'),
    protocols: request
      .getHeader('sec-websocket-protocol')
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  })
  if (admission.isAdmitted) {
    const socket: Socket = { open: admission.open }
    response.cork(() => response.upgrade(socket, key, admission.protocol ?? '', extensions, context))
    return
  }
  write(response, { status: admission.status, contentType: 'text/plain', body: `${admission.reason}\n` })
}

async function respond(response: HttpResponse, path: string, answer: SocketServerOptions['answer']): Promise<void> {
  let isAborted = false
  response.onAborted(() => {
    isAborted = true
  })
  const notFound: HttpAnswer = { status: 404, contentType: 'text/plain', body: 'Here are WebSockets only.\n' }
  const failed: HttpAnswer = { status: 500, contentType: 'text/plain', body: 'This went wrong.\n' }
  const given = await answer(path).catch(() => failed)
  if (!isAborted) write(response, given ?? notFound)
}

const write = (response: HttpResponse, { status, contentType, body }: HttpAnswer) =>
  response.cork(() => {
    response.writeStatus(statusTexts[status] ?? String(status)).writeHeader('Content-Type', contentType)
    if (status === 503) response.writeHeader('Retry-After', '1')
    response.end(body)
  })

/** uWebSockets.js throws when a closed socket is touched; here it is harmless. */
class UwsConnection implements Connection {
  #ws: WebSocket<Socket> | undefined

  constructor(ws: WebSocket<Socket>) {
    this.#ws = ws
  }

  send(frame: string | Uint8Array): SendResult {
    return (this.#ws && sendResults[this.#ws.send(frame, false)]) ?? 'refused'
  }

  get bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0
  }

  ping(): void {
    this.#ws?.ping()
  }

  close(code: number, reason: string): void {
    const ws = this.#ws
    this.#ws = undefined
    ws?.end(code, reason)
  }

  forget(): void {
    this.#ws = undefined
  }
}
