import { mayReconnect } from '@flasktoria/contracts/close-codes'
import { subprotocol, type ClientMessage, type ServerMessage } from '@flasktoria/contracts/stream'
import { readServerMessage, type MessageOf } from './server-message.ts'
import { changed, letThroughAnomalies, type Wishes } from './wishes.ts'

export type LiveSocketOptions = {
  url: string
  /** Called with each message of that type, in the order in which they came. `Fleet` makes a picture of them. */
  on: { [Type in ServerMessage['type']]?: (message: MessageOf<Type>) => void }
  onState?: (state: 'connecting' | 'open' | 'waiting' | 'closed') => void
}

type Subscription = {
  wishes: Wishes
  /** What the hub was not told yet, because it has not answered what it was told last. */
  changes: Wishes | undefined
  isBegun: boolean
  /** Only of one that is `whole` the client has all that it had at its cursor. */
  standing: 'empty' | 'changed' | 'whole'
}

const firstBackoffMs = 250
const lastBackoffMs = 8_000
/** Before a hub has said how often it can be heard. */
const usualHeartbeatMs = 30_000
const pongWithinMs = 5_000

/**
 * A session on the live socket that comes back by itself: reconnects with back-off to whichever hub answers and resumes at its
 * cursor, so that nothing is missed and nothing comes twice. Ends when it is closed, or when a hub says not to come back.
 */
export class LiveSocket {
  readonly #options: LiveSocketOptions
  readonly #subscriptions = new Map<string, Subscription>()
  /** By subscription id: how many messages the hub has not answered. */
  readonly #unanswered = new Map<string, number>()
  #socket: WebSocket | undefined
  /** Ends what is heard of the present socket. */
  #hearing = new AbortController()
  #cursor: string | undefined
  #heartbeatMs = usualHeartbeatMs
  #backoffMs = firstBackoffMs
  #comeBackMs: number | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #ignored = 0

  constructor(options: LiveSocketOptions) {
    this.#options = options
    this.#connect()
  }

  get subscriptions(): ReadonlyMap<string, { readonly wishes: Wishes }> {
    return this.#subscriptions
  }
  /** Messages that were not understood: the hub may be newer than this client. */
  get ignored(): number {
    return this.#ignored
  }

  /** Begins with a snapshot. @throws Error when the id is in use */
  subscribe(id: string, wishes: Wishes): void {
    if (this.#subscriptions.has(id)) throw new Error(`there is a subscription ${id} already`)
    const subscription: Subscription = { wishes, changes: undefined, isBegun: false, standing: 'empty' }
    this.#subscriptions.set(id, subscription)
    this.#ask({ type: 'subscribe', id, ...wishes })
  }

  /** Changes a subscription in place: what is absent stays. While the hub has not answered, changes add up to one message. */
  update(id: string, changes: Wishes): void {
    const subscription = this.#subscriptions.get(id)
    if (!subscription) throw new Error(`there is no subscription ${id}`)
    subscription.wishes = changed(subscription.wishes, changes)
    subscription.changes = changed(subscription.changes ?? {}, changes)
    if (subscription.standing === 'whole') subscription.standing = 'changed'
    this.#tellChanges(id)
  }

  unsubscribe(id: string): void {
    if (this.#subscriptions.delete(id)) this.#ask({ type: 'unsubscribe', id })
  }

  /** The hub answers with a `stats` message. */
  askStats(): void {
    this.#send({ type: 'stats' })
  }

  close(): void {
    this.#leave()
    this.#options.onState?.('closed')
  }

  #connect(): void {
    this.#options.onState?.('connecting')
    const socket = new WebSocket(this.#options.url, subprotocol)
    this.#socket = socket
    this.#hearing = new AbortController()
    const { signal } = this.#hearing
    socket.addEventListener('open', () => this.#resume(), { signal })
    socket.addEventListener('message', ({ data }) => this.#hear(String(data)), { signal })
    socket.addEventListener('close', ({ code }) => (mayReconnect(code) ? this.#comeBack() : this.close()), { signal })
    this.#awaitSign(this.#heartbeatMs)
  }

  #leave(): void {
    this.#hearing.abort()
    clearTimeout(this.#timer)
    this.#socket?.close(1000)
    this.#socket = undefined
  }

  #comeBack(): void {
    this.#leave()
    this.#options.onState?.('waiting')
    const afterMs = this.#comeBackMs ?? this.#backoffMs * (0.5 + Math.random())
    this.#comeBackMs = undefined
    this.#backoffMs = Math.min(this.#backoffMs * 2, lastBackoffMs)
    this.#timer = setTimeout(() => this.#connect(), afterMs)
  }

  /** A network that went away says nothing: after a silence the hub is asked, and given up when it does not answer. */
  #awaitSign(withinMs: number, isAsked = false): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (isAsked || this.#socket?.readyState !== WebSocket.OPEN) return this.#comeBack()
      this.#send({ type: 'ping' })
      this.#awaitSign(pongWithinMs, true)
    }, withinMs)
  }

  #resume(): void {
    this.#unanswered.clear()
    const cursor = this.#cursor
    for (const [id, subscription] of this.#subscriptions) {
      const { wishes, standing, isBegun } = subscription
      const isResumed = standing === 'whole' && cursor !== undefined
      if (!isResumed) subscription.standing = 'empty'
      subscription.changes = undefined
      this.#ask({ type: 'subscribe', id, ...wishes, ...(isResumed && { cursor }) })
      // The hub takes it for a new one, of which nothing can be missing.
      if (!isResumed && isBegun && letThroughAnomalies(wishes))
        this.#options.on.gap?.({
          type: 'gap',
          kind: 'anomaly',
          cursor: cursor ?? '',
          since: null,
          readFrom: '/api/anomalies?start_ts=0',
        })
    }
  }

  #hear(text: string): void {
    this.#awaitSign(this.#heartbeatMs)
    const message = readServerMessage(text)
    if (!message) {
      this.#ignored += 1
      return
    }
    const handle = this.#options.on[message.type] as ((message: ServerMessage) => void) | undefined
    handle?.(message)
    // It may have been closed by that.
    if (this.#hearing.signal.aborted) return
    // Not that of a gap: who comes back is told of it again.
    if ('cursor' in message && message.type !== 'hello' && message.type !== 'gap') this.#keepCursor(message)
    if (message.type === 'hello') this.#heartbeatMs = message.heartbeatMs
    else if (message.type === 'bye') this.#comeBackMs = message.reconnectAfterMs
    else if (message.type === 'ack') this.#hearAnswer(message.id, true)
    else if (message.type === 'error') {
      // Not to know which wish was refused is not to know what the hub shows: begin again.
      if (message.id === undefined) this.#comeBack()
      else this.#hearAnswer(message.id, false)
    }
  }

  #hearAnswer(id: string, isAccepted: boolean): void {
    this.#unanswered.set(id, (this.#unanswered.get(id) ?? 1) - 1)
    if (isAccepted) {
      this.#backoffMs = firstBackoffMs
      this.#options.onState?.('open')
      const subscription = this.#subscriptions.get(id)
      if (subscription) subscription.isBegun = true
    }
    this.#tellChanges(id)
  }

  #keepCursor(message: MessageOf<'snapshot' | 'updates' | 'leave'>): void {
    this.#cursor = message.cursor
    const subscription = message.type === 'snapshot' && this.#subscriptions.get(message.id)
    if (subscription) subscription.standing = message.more ? 'empty' : 'changed'
    for (const [id, one] of this.#subscriptions)
      if (one.standing === 'changed' && !one.changes && !this.#isWaiting(id)) one.standing = 'whole'
  }

  #isWaiting(id: string): boolean {
    return (this.#unanswered.get(id) ?? 0) > 0
  }

  #tellChanges(id: string): void {
    const subscription = this.#subscriptions.get(id)
    if (!subscription?.changes || this.#isWaiting(id)) return
    this.#ask({ type: 'update', id, ...subscription.changes })
    subscription.changes = undefined
  }

  /** Something that the hub answers by `ack` or `error`. What is asked while there is no hub, `#resume` makes up for. */
  #ask(message: Extract<ClientMessage, { id: string }>): void {
    if (this.#send(message)) this.#unanswered.set(message.id, (this.#unanswered.get(message.id) ?? 0) + 1)
  }

  #send(message: ClientMessage): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false
    this.#socket.send(JSON.stringify(message))
    return true
  }
}
