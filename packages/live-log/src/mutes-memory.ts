import { MuteRules, type Mutes } from './mutes.ts'

/** The mutes of one process, gone with it. */
export function createMemoryMutes({ maxClients = 10_000 } = {}): Mutes {
  const clients = new Map<string, MuteRules>()
  const watchers = new Set<(client: string) => void>()
  return {
    async change(client, changes) {
      const rules = clients.get(client) ?? new MuteRules()
      const taken = changes.map((change) => rules.apply(change))
      clients.delete(client)
      if (rules.size > 0) clients.set(client, rules)
      for (const oldest of clients.keys()) {
        if (clients.size <= maxClients) break
        clients.delete(oldest)
      }
      for (const onChange of watchers) onChange(client)
      return taken
    },
    read: async (client) => [...(clients.get(client) ?? [])],
    async watch(onChange) {
      watchers.add(onChange)
      return { close: async () => void watchers.delete(onChange) }
    },
    close: async () => watchers.clear(),
  }
}
