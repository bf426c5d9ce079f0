import type { WsctlRequest } from '@flasktoria/contracts/rest'

/** What one client does not want to see. Rules hold for a vehicle (`sensor` empty) or one of its sensors. */
export type MuteRule = { kind: WsctlRequest['update_type']; vehicle: string; sensor: string; isMuted: boolean }

/**
 * The mutes of every client, shared by query-api (which writes) and the hubs (which obey), on whichever hub a client is.
 * Kept for `retentionMs` after the last change, so that they survive a reconnect.
 */
export interface Mutes {
  /** Applies the changes in order. Answers per change whether it was taken: false beyond the bound of rules per client. */
  change(client: string, changes: readonly MuteRule[]): Promise<boolean[]>
  read(client: string): Promise<MuteRule[]>
  /**
   * `onChange` is called with the id of each client whose mutes changed, wherever they were changed, and with undefined when
   * changes may have been missed: then any client's may have. May be called too often.
   */
  watch(onChange: (client: string | undefined) => void): Promise<{ close(): Promise<void> }>
  close(): Promise<void>
}

export const maxRulesPerClient = 2_000

const ruleKey = (rule: { kind: string; vehicle: string; sensor: string }) =>
  `${rule.kind}\t${rule.vehicle}\t${rule.sensor}`

/**
 * The rules of one client; the most specific one wins. Pure data: both adapters keep their rules through it.
 * A rule for a whole vehicle takes away the rules of its sensors: the last word of the client holds.
 */
export class MuteRules {
  readonly #rules = new Map<string, MuteRule>()

  constructor(rules: Iterable<MuteRule> = []) {
    for (const rule of rules) this.#rules.set(ruleKey(rule), rule)
  }

  get size(): number {
    return this.#rules.size
  }

  /** False: the bound of rules is reached and nothing changed. */
  apply(change: MuteRule): boolean {
    // A position has no sensor.
    const rule = change.kind === 'position' ? { ...change, sensor: '' } : change
    if (rule.sensor === '') {
      for (const [key, { kind, vehicle }] of this.#rules)
        if (kind === rule.kind && vehicle === rule.vehicle) this.#rules.delete(key)
      if (!rule.isMuted) return true
    } else if (!rule.isMuted && !this.#rules.has(ruleKey({ ...rule, sensor: '' }))) {
      this.#rules.delete(ruleKey(rule))
      return true
    }
    const key = ruleKey(rule)
    if (!this.#rules.has(key) && this.#rules.size >= maxRulesPerClient) return false
    this.#rules.set(key, rule)
    return true
  }

  isMuted(kind: string, vehicle: string, sensor: string): boolean {
    const rule =
      this.#rules.get(ruleKey({ kind, vehicle, sensor })) ?? this.#rules.get(ruleKey({ kind, vehicle, sensor: '' }))
    return rule?.isMuted ?? false
  }

  *[Symbol.iterator](): Iterator<MuteRule> {
    yield* this.#rules.values()
  }
}
