import { subprotocol, type ServerMessage } from '@flasktoria/contracts/stream'
import type { Update } from '@flasktoria/contracts/updates'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket, type ClientOptions } from 'ws'

export type Frame = ServerMessage & { updates?: Update[] }

const deadlineMs = 8_000

/** Resolves with the first answer that is not undefined or false; asks again until the deadline. */
export async function eventually<T>(ask: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (const until = Date.now() + deadlineMs; ;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (Date.now() > until) throw new Error(`not within ${deadlineMs} ms: ${ask.toString()}`)
    await sleep(5)
  }
}

type OpenOptions = ClientOptions & { protocols?: string[] }

/** A client with the `ws` library. */
export class TestSocket {
  readonly frames: Frame[] = []
  readonly texts: string[] = []
  readonly socket: WebSocket
  closeCode: number | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data, isBinary) => {
      const text = (data as Buffer).toString()
      this.texts.push(isBinary ? `binary: ${text}` : text)
      this.frames.push(JSON.parse(text) as Frame)
    })
    socket.on('close', (code) => (this.closeCode = code))
    socket.on('error', () => {})
  }

  static begin(url: string, { protocols = [], ...options }: OpenOptions = {}): TestSocket {
    return new TestSocket(new WebSocket(url, protocols, options))
  }

  /** @throws when the upgrade is refused */
  static async open(url: string, options?: OpenOptions): Promise<TestSocket> {
    const client = TestSocket.begin(url, options)
    await once(client.socket, 'open')
    return client
  }

  static v2 = (url: string, options: ClientOptions = {}) =>
    TestSocket.open(url, { ...options, protocols: [subprotocol] })

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
  }

  next<Type extends ServerMessage['type']>(type: Type, nth = 0): Promise<Extract<ServerMessage, { type: Type }>> {
    return eventually(
      () =>
        this.frames.filter((frame) => frame.type === type)[nth] as Extract<ServerMessage, { type: Type }> | undefined,
    )
  }

  /** Everything that arrived, in order. */
  get updates(): Update[] {
    return this.frames.flatMap(({ updates }) => updates ?? [])
  }

  closed = (): Promise<number> => eventually(() => this.closeCode)

  /** Stops reading: the kernel fills up, then the hub. */
  stall(): void {
    this.#tcp.pause()
  }
  goOn(): void {
    this.#tcp.resume()
  }

  get #tcp(): { pause(): void; resume(): void } {
    return (this.socket as unknown as { _socket: { pause(): void; resume(): void } })['_socket']
  }

  end(): void {
    this.socket.terminate()
  }
}
