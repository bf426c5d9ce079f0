import { Fleet } from '@flasktoria/client/fleet'
import { readServerMessage } from '@flasktoria/client/server-message'
import { subprotocol, type ClientMessage, type ServerMessage } from '@flasktoria/contracts/stream'
import { WebSocket } from 'ws'

/** One connection with one subscription to everything. It may hang as a browser does: then the kernel's buffers fill up. */
export class RawClient {
  readonly heard: ServerMessage[] = []
  readonly fleet: Fleet
  cursor: string | undefined
  bytes = 0
  closeCode: number | undefined
  readonly #socket: WebSocket

  /** With a cursor it resumes, with the picture that it had then. */
  constructor(url: string, { cursor, fleet = new Fleet() }: { cursor?: string | undefined; fleet?: Fleet } = {}) {
    this.fleet = fleet
    this.#socket = new WebSocket(url, subprotocol)
    this.#socket.on('open', () => this.say({ type: 'subscribe', id: 'all', ...(cursor !== undefined && { cursor }) }))
    this.#socket.on('close', (code) => (this.closeCode = code))
    this.#socket.on('error', () => {})
    this.#socket.on('message', (data: Buffer) => {
      this.bytes += data.length
      const message = readServerMessage(data.toString())
      if (message) this.#hear(message)
    })
  }

  get isWhole(): boolean {
    return this.heard.some((message) => message.type === 'snapshot' && !message.more)
  }

  say(message: ClientMessage): void {
    this.#socket.send(JSON.stringify(message))
  }
  stall(): void {
    this.#socket.pause()
  }
  goOn(): void {
    this.#socket.resume()
  }
  close(): void {
    this.#socket.terminate()
  }

  #hear(message: ServerMessage): void {
    this.heard.push(message)
    this.fleet.receive(message, everything)
    if ('cursor' in message && message.type !== 'hello') this.cursor = message.cursor
  }
}

const everything = new Map([['all', { wishes: {} }]])
