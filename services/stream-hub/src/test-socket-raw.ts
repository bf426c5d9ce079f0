import { subprotocol } from '@flasktoria/contracts/stream'
import { connect, type Socket } from 'node:net'
import { eventually } from './test-socket.ts'

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export type FrameShape = { opcode?: number; isLast?: boolean; rsv?: number; isMasked?: boolean; claimedLength?: number }

/** One frame as a client sends it, or as none should. */
export function frameOf(payload: string | Uint8Array, shape: FrameShape = {}): Buffer {
  const { opcode = opcodes.text, isLast = true, rsv = 0, isMasked = true } = shape
  const body = Buffer.from(payload as string)
  const length = shape.claimedLength ?? body.length
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = (isLast ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (isMasked ? 0x80 : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0), body])
}

export const handshakeText = (path = '/', headers: Record<string, string> = {}) =>
  [
    `GET ${path} HTTP/1.1`,
    ...Object.entries({
      Host: 'fleet.test',
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    }).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n')

/** A client that minds no rule: bytes out, bytes in. */
export class RawSocket {
  readonly socket: Socket
  isClosed = false
  #chunks: Buffer[] = []

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    this.socket.on('error', () => {})
    this.socket.on('close', () => (this.isClosed = true))
  }

  static async open(port: number, headers: Record<string, string> = {}): Promise<RawSocket> {
    const raw = new RawSocket(port)
    raw.write(handshakeText('/', headers))
    await eventually(() => raw.status !== undefined)
    return raw
  }

  static v2 = (port: number) => RawSocket.open(port, { 'Sec-WebSocket-Protocol': subprotocol })

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes)
  }

  get #received(): Buffer {
    this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!
  }

  /** Of the answer to the handshake. */
  get status(): number | undefined {
    const text = this.headers
    return text === '' ? undefined : Number(text.split(' ', 2)[1])
  }

  /** Empty until they are complete. */
  get headers(): string {
    return this.#received.toString('latin1', 0, Math.max(0, this.#received.indexOf('\r\n\r\n')))
  }

  /** What the server sent after the handshake; its frames are whole and unmasked. */
  get frames(): { opcode: number; payload: Buffer }[] {
    const frames = []
    const received = this.#received
    let rest = received.subarray(received.indexOf('\r\n\r\n') + 4)
    while (rest.length >= 2) {
      const short = rest[1]! & 0x7f
      const start = short < 126 ? 2 : short === 126 ? 4 : 10
      if (rest.length < start) break
      const length = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
      if (rest.length < start + length) break
      frames.push({ opcode: rest[0]! & 0x0f, payload: rest.subarray(start, start + length) })
      rest = rest.subarray(start + length)
    }
    return frames
  }

  /** Undefined: there was no close frame, or one without a code. */
  get closeCode(): number | undefined {
    const close = this.frames.find(({ opcode }) => opcode === opcodes.close)
    return close && close.payload.length >= 2 ? close.payload.readUInt16BE(0) : undefined
  }

  closed = (): Promise<true> => eventually(() => this.isClosed)

  /** Stops reading: the kernel fills up, then the server. */
  stall(): void {
    this.socket.pause()
  }
  goOn(): void {
    this.socket.resume()
  }

  end(): void {
    this.socket.destroy()
  }
}
