import { ConfigError } from '@flasktoria/service-kit/config'
import { STATUS_CODES } from 'node:http'
import type {
  HttpRequest,
  HttpResponse,
  ListenOptions,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uWebSockets.js'
import { answerTo, headersOf, maxHeaderBytes, patienceMs, portTaken, protocolsOf, refusalOf } from './socket-http.ts'
import type { Connection, HttpAnswer, Listen, Receiver, SendResult, SocketServerOptions } from './transport.ts'

type Socket = {
  open: (connection: Connection) => Receiver
  connection?: UwsConnection
  receiver?: Receiver | undefined
}

const sendResults: Record<number, SendResult> = { 0: 'queued', 1: 'sent', 2: 'refused' }

type Uws = typeof import('uWebSockets.js')

/** @throws ConfigError when its addon does not load here */
export async function loadUws(): Promise<Listen> {
  const uws = await importUws()
  // Else two hubs could share a port without knowing. The types put it into an enum that does not exist.
  const { LIBUS_LISTEN_EXCLUSIVE_PORT: exclusive } = uws as unknown as Record<string, ListenOptions>
  if (exclusive === undefined) throw new ConfigError('this uWebSockets.js cannot listen on a port alone')
  return (options) => listenWithUws(uws, exclusive, options)
}

async function listenWithUws(uws: Uws, exclusive: ListenOptions, options: SocketServerOptions) {
  const app = uws.App()
  // First, and on any path: a request that is no upgrade goes on to the next handler.
  app.ws('/*', behavior(options))
  app.any('/*', (response, request) => void respond(response, request.getUrl(), options.answer))
  const listening = Promise.withResolvers<us_listen_socket>()
  app.listen(options.host, options.port, exclusive, (socket) => {
    if (socket) listening.resolve(socket)
    else listening.reject(portTaken(options))
  })
  const socket = await listening.promise
  let isListening = true
  return {
    transport: 'uws' as const,
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

async function importUws(): Promise<Uws> {
  // oxlint-disable-next-line node/no-process-env -- the addon reads it when it is loaded; there is no other way to tell it
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
    // 8 to 960 s; others end the process. It may come 4 s too early. Only what comes in counts.
    idleTimeout: Math.min(960, Math.max(8, Math.ceil(options.idleTimeoutMs / 4_000) * 4 + 4)),
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => upgrade(response, request, context, options),
    open(ws) {
      const socket = ws.getUserData()
      // Without any topic, a message of 16 KiB or more that is sent in `drain` may stall for ever.
      ws.subscribe('_')
      const connection = new UwsConnection(ws, options.maxBufferedBytes)
      socket.connection = connection
      socket.receiver = socket.open(connection)
    },
    message: (ws, data, isBinary) => ws.getUserData().receiver?.onMessage(new Uint8Array(data), isBinary),
    drain(ws) {
      const { connection, receiver } = ws.getUserData()
      connection?.sayLastWords()
      receiver?.onDrain()
    },
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
    protocols: protocolsOf(request.getHeader('sec-websocket-protocol')),
  })
  if (admission.isAdmitted) {
    const socket: Socket = { open: admission.open }
    response.cork(() => response.upgrade(socket, key, admission.protocol ?? '', extensions, context))
    return
  }
  write(response, refusalOf(admission))
}

async function respond(response: HttpResponse, path: string, answer: SocketServerOptions['answer']): Promise<void> {
  let isAborted = false
  response.onAborted(() => {
    isAborted = true
  })
  const given = await answerTo(path, answer)
  if (!isAborted) write(response, given)
}

const write = (response: HttpResponse, answer: HttpAnswer) =>
  response.cork(() => {
    response.writeStatus(`${answer.status} ${STATUS_CODES[answer.status] ?? ''}`)
    for (const [name, value] of Object.entries(headersOf(answer))) response.writeHeader(name, value)
    response.end(answer.body)
  })

/** uWebSockets.js throws when a closed socket is touched; here it is harmless. */
class UwsConnection implements Connection {
  #ws: WebSocket<Socket> | undefined
  readonly #maxBufferedBytes: number
  #lastWords: (() => void) | undefined
  #patience: NodeJS.Timeout | undefined

  constructor(ws: WebSocket<Socket>, maxBufferedBytes: number) {
    this.#ws = ws
    this.#maxBufferedBytes = maxBufferedBytes
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
    if (!ws) return
    this.#ws = undefined
    const socket = ws.getUserData()
    const { receiver } = socket
    socket.receiver = undefined
    this.#lastWords = () => {
      // Beyond its bound `end` would lose the code, and everything that waits.
      if (ws.getBufferedAmount() <= this.#maxBufferedBytes) ws.end(code, reason)
    }
    // Without `end` anything that comes in would keep it open.
    this.#patience = setTimeout(() => ws.close(), patienceMs)
    this.#lastWords()
    receiver?.onClose(code)
  }

  sayLastWords(): void {
    this.#lastWords?.()
  }

  forget(): void {
    this.#ws = undefined
    this.#lastWords = undefined
    clearTimeout(this.#patience)
  }
}
