import { mayReconnect } from '@flasktoria/contracts/close-codes'
import { serverMessageSchema, subprotocol, type ServerMessage, type Subscribe } from '@flasktoria/contracts/stream'

type Message<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>

export type LiveSocketOptions = {
  url: string
  /** What to see; see `subscribeSchema`. */
  subscription: Omit<Subscribe, 'type' | 'id' | 'cursor'>
  /** Part 0 of a snapshot replaces what was there, the next ones add to it. */
  onSnapshot: (snapshot: Message<'snapshot'>) => void
  onUpdates: (updates: Message<'updates'>) => void
  onGap?: (gap: Message<'gap'>) => void
  onState?: (state: 'connecting' | 'open' | 'waiting' | 'closed') => void
}

const subscriptionId = 'main'
const firstBackoffMs = 250
const lastBackoffMs = 8_000

/**
 * A session on the live socket that comes back by itself: reconnects with back-off to whichever hub answers and resumes at its
 * cursor, so that nothing is missed and nothing comes twice. Ends when it is closed, or when a hub says not to come back.
 */
export class LiveSocket {
  readonly #options: LiveSocketOptions
  #socket: WebSocket | undefined
  #cursor: string | undefined
  #backoffMs = firstBackoffMs
  #retry: ReturnType<typeof setTimeout> | undefined
  #isClosed = false

  constructor(options: LiveSocketOptions) {
    this.#options = options
    this.#connect()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
    this.#socket?.close(1000)
    this.#options.onState?.('closed')
  }

  #connect(): void {
    this.#options.onState?.('connecting')
    const socket = new WebSocket(this.#options.url, subprotocol)
    let comeBackMs: number | undefined
    this.#socket = socket
    socket.addEventListener('open', () => {
      const cursor = this.#cursor
      const message: Subscribe = {
        type: 'subscribe',
        id: subscriptionId,
        ...this.#options.subscription,
        ...(cursor !== undefined && { cursor }),
      }
      socket.send(JSON.stringify(message))
    })
    socket.addEventListener('message', ({ data }) => {
      const message = serverMessageSchema.parse(JSON.parse(String(data)))
      if (message.type === 'bye') comeBackMs = message.reconnectAfterMs
      else this.#receive(message)
    })
    socket.addEventListener('close', ({ code }) => {
      if (this.#isClosed) return
      if (!mayReconnect(code)) return this.close()
      this.#options.onState?.('waiting')
      this.#retry = setTimeout(() => this.#connect(), comeBackMs ?? this.#backoffMs * (0.5 + Math.random()))
      this.#backoffMs = Math.min(this.#backoffMs * 2, lastBackoffMs)
    })
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case 'ack':
        this.#backoffMs = firstBackoffMs
        this.#options.onState?.('open')
        break
      case 'snapshot':
        this.#options.onSnapshot(message)
        // One that breaks off half-way has to come again whole.
        this.#cursor = message.more ? undefined : message.cursor
        break
      case 'updates':
        this.#options.onUpdates(message)
        this.#cursor = message.cursor
        break
      case 'gap':
        this.#options.onGap?.(message)
        break
      case 'hello':
      case 'pong':
      case 'error':
      case 'bye':
        break
    }
  }
}
