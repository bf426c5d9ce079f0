/** The library that serves the sockets. */
export type Transport = 'uws' | 'ws'

/** What became of a frame. `queued`: it will arrive, but wait for `onDrain`. `refused`: it will not. */
export type SendResult = 'sent' | 'queued' | 'refused'

/** One open WebSocket. All calls are harmless once it is closed. */
export interface Connection {
  /** A text frame. The bytes may be overwritten after the call. */
  send(frame: string | Uint8Array): SendResult
  /** What waits in this process; the kernel and proxies hold more. */
  readonly bufferedBytes: number
  ping(): void
  /** What was queued still goes, then the code. `reason`: 123 bytes at most. */
  close(code: number, reason: string): void
}

/** What the connection tells; nothing after `onClose`, which may come from within `close`. */
export type Receiver = {
  /** The bytes are valid during the call only. */
  onMessage(data: Uint8Array, isBinary: boolean): void
  onDrain(): void
  onPong(): void
  onClose(code: number): void
}

export type Handshake = {
  /** The query of the URL, without its question mark. */
  query: string
  origin: string
  cookie: string
  /** The sub-protocols that the client offers. */
  protocols: readonly string[]
}

/** `protocol`: the sub-protocol to select; none when the client offered none that we know. */
export type Admission =
  | { isAdmitted: true; protocol?: string; open: (connection: Connection) => Receiver }
  | { isAdmitted: false; status: 403 | 503; reason: string }

export type HttpAnswer = { status: number; contentType: string; body: string }

export type SocketServerOptions = {
  host: string
  /** 0: any free one. */
  port: number
  /** Longer messages, whole or in fragments, end the connection; the receiver says so earlier. */
  maxMessageBytes: number
  /** Of one connection, in this process. A frame that goes beyond it still goes, the next one is refused. */
  maxBufferedBytes: number
  /** A connection that nothing comes from for this long is closed. */
  idleTimeoutMs: number
  /** Asked for every upgrade, on any path. */
  admit: (handshake: Handshake) => Admission
  /** Every other request. Undefined: there is nothing at this path. */
  answer: (path: string) => Promise<HttpAnswer | undefined>
}

export interface SocketServer {
  readonly transport: Transport
  readonly port: number
  /** No new connections; the open ones stay. */
  stopListening(): void
  /** Ends every connection that is still open. */
  close(): void
}

/** @throws ConfigError when the port can't be had, for it alone */
export type Listen = (options: SocketServerOptions) => Promise<SocketServer>
