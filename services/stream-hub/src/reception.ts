import { subprotocol } from '@flasktoria/contracts/stream'
import type { ClientMutes } from './client-mutes.ts'
import type { Conversation } from './conversation.ts'
import { clientOf, isOriginAllowed, protocolOf } from './handshake.ts'
import type { Hub } from './hub.ts'
import type { Admission, Connection, Handshake, Receiver } from './transport.ts'

type Deps = {
  hub: Hub
  mutes: ClientMutes
  conversation: Conversation
  maxConnections: number
  allowedOrigins: readonly string[] | undefined
  onRefusal: (reason: string) => void
}

/** Decides who may come in, and makes a session of each connection. */
export class Reception {
  readonly #deps: Deps
  #isClosed = false

  constructor(deps: Deps) {
    this.#deps = deps
  }

  close(): void {
    this.#isClosed = true
  }

  admit(handshake: Handshake): Admission {
    const { hub, maxConnections, allowedOrigins } = this.#deps
    if (!isOriginAllowed(handshake, allowedOrigins)) return this.#refuse(403, 'origin')
    if (this.#isClosed) return this.#refuse(503, 'draining')
    if (!hub.isLoaded) return this.#refuse(503, 'log')
    if (hub.sessions.size >= maxConnections) return this.#refuse(503, 'full')
    const protocol = protocolOf(handshake)
    const open = (connection: Connection) => this.#receive(connection, protocol, clientOf(handshake))
    return { isAdmitted: true, open, ...(handshake.protocols.includes(subprotocol) && { protocol: subprotocol }) }
  }

  #receive(connection: Connection, protocol: 'plain' | 'v2', client: string | undefined): Receiver {
    const { hub, mutes, conversation } = this.#deps
    const session = hub.open(connection, protocol, client !== undefined)
    const own = mutes.enter(client, (rules) => hub.setMutes(session, rules))
    return {
      onMessage: (data, isBinary) => conversation.hear(session, data, isBinary, own),
      onDrain: () => hub.hearDrain(session),
      onPong: () => hub.hearPong(session),
      onClose: (code) => {
        hub.hearClose(session, code)
        own.leave()
      },
    }
  }

  #refuse(status: 403 | 503, reason: string): Admission {
    this.#deps.onRefusal(reason)
    return { isAdmitted: false, status, reason }
  }
}
