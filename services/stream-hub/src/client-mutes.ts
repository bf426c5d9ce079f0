import { MuteRules, type MuteRule, type Mutes } from '@flasktoria/live-log/mutes'
import type { Logger } from '@flasktoria/service-kit/logger'

type Listener = (rules: MuteRules) => void
/** What a session has muted: what its client has, or, without a client id, what it has itself. */
export type SessionMutes = {
  /** False: the bound of rules is reached. Rejects when the mutes can't be kept. */
  change(rule: MuteRule): Promise<boolean>
  leave(): void
}
type Client = { listeners: Set<Listener>; rules: MuteRules | undefined; isReading: boolean; isStale: boolean }

type Deps = {
  mutes: Mutes
  onFailure: () => void
  logger: Logger
  retryMs?: number
}

/**
 * The mutes of the clients that have sessions on this hub: read when the first one connects and whenever they change.
 * Mutes that can't be read are read again; until then a client has those that were known, at first none: it sees too much
 * rather than nothing.
 */
export class ClientMutes implements AsyncDisposable {
  readonly #deps: Deps
  readonly #retryMs: number
  readonly #clients = new Map<string, Client>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #watch: { close(): Promise<void> } | undefined
  #isClosed = false

  constructor(deps: Deps) {
    this.#deps = deps
    this.#retryMs = deps.retryMs ?? 1_000
  }

  /** Resolves when changes are heard of, or when that has to be tried again. */
  async start(): Promise<void> {
    try {
      const watch = await this.#deps.mutes.watch((client) =>
        client === undefined ? this.#refreshAll() : this.#refresh(client),
      )
      if (this.#isClosed) return await watch.close()
      this.#watch = watch
      // Whatever changed before.
      this.#refreshAll()
    } catch (error) {
      this.#fail(error, () => void this.start())
    }
  }

  /** `listener` gets the rules as soon as they are known, and whenever they changed, until the session leaves. */
  enter(client: string | undefined, listener: Listener): SessionMutes {
    if (client === undefined) return mutesOfNoClient(listener)
    let known = this.#clients.get(client)
    if (!known) {
      known = { listeners: new Set(), rules: undefined, isReading: false, isStale: false }
      this.#clients.set(client, known)
      this.#refresh(client)
    }
    const { listeners, rules } = known
    listeners.add(listener)
    if (rules) listener(rules)
    return {
      change: async (rule) => (await this.#deps.mutes.change(client, [rule]))[0]!,
      leave: () => {
        listeners.delete(listener)
        if (listeners.size === 0 && this.#clients.get(client)?.listeners === listeners) this.#clients.delete(client)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
    await this.#watch?.close()
  }

  #refreshAll(): void {
    for (const client of this.#clients.keys()) this.#refresh(client)
  }

  #refresh(client: string): void {
    const known = this.#clients.get(client)
    if (!known || this.#isClosed) return
    if (known.isReading) known.isStale = true
    else void this.#read(client, known)
  }

  async #read(client: string, known: Client): Promise<void> {
    known.isReading = true
    try {
      do {
        known.isStale = false
        // One after the other: the last answer is the newest.
        known.rules = new MuteRules(await this.#deps.mutes.read(client))
      } while (known.isStale)
    } catch (error) {
      known.rules ??= new MuteRules()
      this.#fail(error, () => this.#refresh(client))
    }
    known.isReading = false
    for (const listener of known.listeners) listener(known.rules)
  }

  #fail(error: unknown, retry: () => void): void {
    if (this.#isClosed) return
    this.#deps.onFailure()
    this.#deps.logger.warn({ err: error }, 'the mutes cannot be read')
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      retry()
    }, this.#retryMs)
    this.#timers.add(timer)
  }
}

function mutesOfNoClient(listener: Listener): SessionMutes {
  const rules = new MuteRules()
  return {
    async change(rule) {
      const isTaken = rules.apply(rule)
      if (isTaken) listener(new MuteRules(rules))
      return isTaken
    },
    leave() {},
  }
}
