import { MuteRules, type Mutes } from './mutes.ts'

export type MemoryMutesOptions = {
  /** How long the mutes of a client are kept after its last change, and of how many clients. */
  retentionMs?: number
  maxClients?: number
  now?: () => number
}

/** The mutes of one process, gone with it. */
export function createMemoryMutes({
  retentionMs = 86_400_000,
  maxClients = 10_000,
  now = Date.now,
}: MemoryMutesOptions = {}): Mutes {
  /** By the last change, oldest first. */
  const clients = new Map<string, { rules: MuteRules; changedAt: number }>()
  const watchers = new Set<{ onChange: (client: string | undefined) => void }>()

  function forget(): void {
    for (const [client, { changedAt }] of clients) {
      if (changedAt >= now() - retentionMs && clients.size <= maxClients) break
      clients.delete(client)
    }
  }

  return {
    async change(client, changes) {
      forget()
      const rules = clients.get(client)?.rules ?? new MuteRules()
      const taken = changes.map((change) => rules.apply(change))
      clients.delete(client)
      if (rules.size > 0) clients.set(client, { rules, changedAt: now() })
      forget()
      for (const { onChange } of watchers) onChange(client)
      return taken
    },
    async read(client) {
      forget()
      return [...(clients.get(client)?.rules ?? [])]
    },
    async watch(onChange) {
      const watcher = { onChange }
      watchers.add(watcher)
      return { close: async () => void watchers.delete(watcher) }
    },
    close: async () => watchers.clear(),
  }
}
