import { once } from 'node:events'
import { createServer, STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { WebSocket, WebSocketServer, type ServerOptions } from 'ws'
import { answerTo, headersOf, maxHeaderBytes, patienceMs, portTaken, protocolsOf, refusalOf } from './socket-http.ts'
import type {
  Connection,
  Handshake,
  HttpAnswer,
  Listen,
  Receiver,
  SendResult,
  SocketServerOptions,
} from './transport.ts'

/** How late a connection may be found idle. */
const idleCheckMs = 1_000
/** A message that comes byte by byte costs an object each. */
const maxPieces = 1_024

/** Listens with npm `ws`: slower and larger than uWebSockets.js, but it runs wherever Node does. */
export const listenWithWs: Listen = async (options) => {
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: patienceMs,
      requestTimeout: patienceMs,
      connectionsCheckingInterval: idleCheckMs,
      shouldUpgradeCallback: opensSocket,
    },
    (request, response) => void respond(request, response, options.answer),
  )
  const sockets = trackSockets(server)
  const connections = new Set<WsConnection>()
  const handshakes = createHandshakes(options)
  server.on('upgrade', (request, duplex, head) => {
    const socket = duplex as Socket
    const admission = options.admit(handshakeOf(request))
    if (!admission.isAdmitted) return refuse(socket, refusalOf(admission))
    // `ws` selects the first one that is offered, and refuses a list that is not well formed.
    if (admission.protocol === undefined) delete request.headers['sec-websocket-protocol']
    else request.headers['sec-websocket-protocol'] = admission.protocol
    handshakes.handleUpgrade(request, socket, head, (ws) => {
      const connection = new WsConnection(ws, socket, options.maxBufferedBytes)
      connections.add(connection)
      ws.on('close', () => connections.delete(connection))
      connection.tell(admission.open(connection))
    })
  })
  await listening(server, options)
  const idleCheck = setInterval(() => {
    for (const connection of connections) connection.endIfIdle(options.idleTimeoutMs)
  }, idleCheckMs).unref()
  return {
    transport: 'ws',
    port: (server.address() as AddressInfo).port,
    stopListening: () => void server.close(),
    close() {
      clearInterval(idleCheck)
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

type HttpServer = ReturnType<typeof createServer>

/** Node forgets those that are upgraded. */
function trackSockets(server: HttpServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  return sockets
}

function createHandshakes({ maxMessageBytes }: SocketServerOptions): WebSocketServer {
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    // The connection answers, so that nothing piles up for a client that asks and does not read.
    autoPong: false,
    maxPayload: maxMessageBytes,
    maxFragments: maxPieces,
    maxBufferedChunks: maxPieces,
    closeTimeout: patienceMs,
  }
  return new WebSocketServer(options)
}

async function listening(server: HttpServer, options: SocketServerOptions): Promise<void> {
  const { host, port } = options
  try {
    // A storm of browsers that come back waits in the kernel.
    server.listen({ host, port, backlog: 4_096 })
    await once(server, 'listening')
  } catch (error) {
    throw portTaken(options, error as Error)
  }
}

/** Everything else, `Upgrade: h2c` too, is a plain request. */
const opensSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && headers['sec-websocket-key'] !== undefined

function handshakeOf({ url = '', headers }: IncomingMessage): Handshake {
  const queryAt = url.indexOf('?')
  return {
    query: queryAt < 0 ? '' : url.slice(queryAt + 1),
    origin: headers.origin ?? '',
    cookie: headers.cookie ?? '',
    protocols: protocolsOf(headers['sec-websocket-protocol'] ?? ''),
  }
}

async function respond(
  { url = '' }: IncomingMessage,
  response: ServerResponse,
  answer: SocketServerOptions['answer'],
): Promise<void> {
  const given = await answerTo(url.split('?', 1)[0]!, answer)
  response.writeHead(given.status, headersOf(given)).end(given.body)
}

function refuse(socket: Socket, answer: HttpAnswer): void {
  const headers = { ...headersOf(answer), 'Content-Length': Buffer.byteLength(answer.body), Connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.on('error', () => {})
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${lines.join('')}\r\n${answer.body}`)
}

class WsConnection implements Connection {
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #maxBufferedBytes: number
  #receiver: Receiver | undefined
  #isOpen = true
  /** What waited when we last looked. */
  #waitingBytes = 0
  /** The last question that came while something waited; RFC 6455 lets it stand for those before. */
  #unansweredPing: Buffer | undefined
  #heardBytes = 0
  #heardAtMs = performance.now()

  constructor(ws: WebSocket, socket: Socket, maxBufferedBytes: number) {
    this.#ws = ws
    this.#socket = socket
    this.#maxBufferedBytes = maxBufferedBytes
    ws.on('message', (data, isBinary) => this.#isOpen && this.#receiver?.onMessage(data as Buffer, isBinary))
    ws.on('ping', (data) => this.#answer(data))
    ws.on('pong', () => this.#isOpen && this.#receiver?.onPong())
    // What breaks the protocol; `ws` closes with a code that says so.
    ws.on('error', () => this.#end(1006))
    ws.on('close', (code) => this.#end(code))
  }

  tell(receiver: Receiver): void {
    this.#receiver = receiver
  }

  send(frame: string | Uint8Array): SendResult {
    if (!this.#takesFrames) return 'refused'
    // Of bytes that wait Node keeps the place, not the content; nothing tells beforehand whether they will.
    this.#ws.send(typeof frame === 'string' ? frame : Buffer.from(frame), { binary: false }, this.#onWritten)
    // What the kernel takes at once does not count any more when the call returns.
    this.#waitingBytes = this.bufferedBytes
    return this.#waitingBytes === 0 ? 'sent' : 'queued'
  }

  get bufferedBytes(): number {
    return this.#isOpen ? this.#ws.bufferedAmount : 0
  }

  ping(): void {
    if (this.#takesFrames) this.#ws.ping('', false, this.#onWritten)
  }

  close(code: number, reason: string): void {
    if (!this.#isOpen) return
    this.#ws.close(code, reason)
    // Like uWebSockets.js, and no client has to agree.
    this.#socket.end()
    this.#end(code)
  }

  /** Only what comes in counts, as long as it is anything at all. */
  endIfIdle(timeoutMs: number): void {
    const nowMs = performance.now()
    if (this.#socket.bytesRead !== this.#heardBytes) {
      this.#heardBytes = this.#socket.bytesRead
      this.#heardAtMs = nowMs
    } else if (nowMs - this.#heardAtMs >= timeoutMs) this.#ws.terminate()
  }

  get #takesFrames(): boolean {
    return this.#isOpen && this.#ws.readyState === WebSocket.OPEN && this.bufferedBytes <= this.#maxBufferedBytes
  }

  /** Each frame, once the kernel has it. */
  readonly #onWritten = (error?: Error | null): void => {
    if (error || !this.#isOpen) return
    const before = this.#waitingBytes
    this.#waitingBytes = Math.min(before, this.bufferedBytes)
    if (this.#unansweredPing) this.#answer(this.#unansweredPing)
    if (this.#waitingBytes < before) this.#receiver?.onDrain()
  }

  #answer(ping: Buffer): void {
    const canAnswer = this.bufferedBytes === 0
    // A copy: `ping` is a part of all that was read with it.
    this.#unansweredPing = canAnswer ? undefined : Buffer.from(ping)
    if (canAnswer && this.#takesFrames) this.#ws.pong(ping, false, this.#onWritten)
  }

  #end(code: number): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#receiver?.onClose(code)
  }
}
