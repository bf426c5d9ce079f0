import {
  clientMessageSchema,
  streamLimits,
  type ClientMessage,
  type ServerMessage,
  type Subscribe,
  type UpdateSubscription,
} from '@flasktoria/contracts/stream'
import { maxRulesPerClient } from '@flasktoria/live-log/mutes'
import type { SessionMutes } from './client-mutes.ts'
import type { Hub } from './hub.ts'
import type { Session } from './session.ts'

type MuteMessage = Extract<ClientMessage, { type: 'mute' | 'unmute' }>
type ErrorCode = Extract<ServerMessage, { type: 'error' }>['code']

export type ConversationLimits = {
  maxSubscriptions: number
  /** Named in all subscriptions of a session together. */
  maxVehicles: number
}

type Deps = { hub: Hub; limits: ConversationLimits; onError: (code: ErrorCode) => void; now: () => number }

const decoder = new TextDecoder()

/**
 * What clients say. A plain client may say anything, it is ignored. What a v2 client says is checked and bounded: a message
 * that is refused costs an `error` each, until there are too many of them; a message of unheard-of length ends the session.
 */
export class Conversation {
  readonly #deps: Deps

  constructor(deps: Deps) {
    this.#deps = deps
  }

  hear(session: Session, data: Uint8Array, isBinary: boolean, mutes: SessionMutes): void {
    const { hub } = this.#deps
    hub.hear(session)
    if (data.length > streamLimits.messageBytes) {
      if (session.protocol === 'plain') hub.closeWith(session, 1009, 'the message is too long')
      else hub.close(session, 'protocolError')
      return
    }
    if (session.protocol === 'plain') return
    if (!session.messages.take(this.#deps.now()))
      return this.#refuse(session, 'too_many_messages', `at most ${streamLimits.messagesPerSecond} messages a second`)
    const parsed = isBinary ? undefined : parse(decoder.decode(data))
    if (parsed?.isValid) this.#answer(session, parsed.message, mutes)
    else this.#refuse(session, 'bad_message', parsed?.reason ?? 'messages are text', parsed?.id)
  }

  #answer(session: Session, message: ClientMessage, mutes: SessionMutes): void {
    const { hub, limits } = this.#deps
    const { subscriptions } = session
    switch (message.type) {
      case 'ping':
        return hub.say(session, { type: 'pong', ...(message.nonce !== undefined && { nonce: message.nonce }) })
      case 'stats':
        return hub.sayStats(session)
      case 'mute':
      case 'unmute':
        return void this.#mute(session, message, mutes)
      case 'update':
        if (!subscriptions.has(message.id))
          return this.#refuse(session, 'unknown_subscription', 'there is no such subscription', message.id)
        if (this.#namesTooMany(session, message))
          return this.#refuse(session, 'too_many_subscriptions', this.#most, message.id)
        return hub.update(session, message)
      case 'unsubscribe':
        if (subscriptions.has(message.id)) return hub.unsubscribe(session, message.id)
        return this.#refuse(session, 'unknown_subscription', 'there is no such subscription', message.id)
      case 'subscribe': {
        if (subscriptions.has(message.id))
          return this.#refuse(session, 'duplicate_subscription', 'this id is in use', message.id)
        if (subscriptions.size >= limits.maxSubscriptions || this.#namesTooMany(session, message))
          return this.#refuse(session, 'too_many_subscriptions', this.#most, message.id)
        return hub.subscribe(session, message)
      }
    }
  }

  async #mute(session: Session, message: MuteMessage, mutes: SessionMutes): Promise<void> {
    const { type, kind, vehicle, sensor = '' } = message
    try {
      if (await mutes.change({ kind, vehicle, sensor, isMuted: type === 'mute' })) return
      this.#refuse(session, 'too_many_mutes', `at most ${maxRulesPerClient} mutes`)
    } catch {
      this.#refuse(session, 'mutes_unavailable', 'mutes cannot be kept just now')
    }
  }

  get #most(): string {
    const { maxSubscriptions, maxVehicles } = this.#deps.limits
    return `at most ${maxSubscriptions} subscriptions with ${maxVehicles} vehicles in all`
  }

  #namesTooMany({ subscriptions }: Session, { id, vehicles = [] }: Subscribe | UpdateSubscription): boolean {
    const others = [...subscriptions.values()].filter((other) => other.id !== id)
    const named = others.reduce((sum, { filter }) => sum + (filter.vehicles?.size ?? 0), 0)
    return named + vehicles.length > this.#deps.limits.maxVehicles
  }

  #refuse(session: Session, code: ErrorCode, message: string, id?: string): void {
    const { hub, onError, now } = this.#deps
    onError(code)
    if (!session.errors.take(now())) return hub.close(session, 'abuse')
    hub.say(session, { type: 'error', code, message, ...(id !== undefined && { id }) })
  }
}

type Parsed = { isValid: true; message: ClientMessage } | { isValid: false; reason: string; id?: string }

export function parse(text: string): Parsed {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { isValid: false, reason: 'this is no JSON' }
  }
  const result = clientMessageSchema.safeParse(value)
  if (result.success) return { isValid: true, message: result.data }
  const issue = result.error.issues[0]!
  const reason = [issue.path.join('.'), issue.message].filter(Boolean).join(': ').slice(0, 200)
  const id = typeof value === 'object' && value !== null && 'id' in value ? value.id : undefined
  return { isValid: false, reason, ...(typeof id === 'string' && { id: id.slice(0, 64) }) }
}
