import { LogUnavailable } from './log.ts'
import { MuteRules, type MuteRule, type Mutes } from './mutes.ts'
import { defaultPrefix } from './redis-keys.ts'
import { asUnavailable, connectRedis, disconnect, runScript, subscribe, whenReady, type Subscription } from './redis.ts'

export type RedisMutesOptions = {
  url: string
  /** In front of every key and channel. */
  prefix?: string
  /** How long mutes are kept after their last change. */
  retentionMs?: number
  onError?: (error: Error) => void
}

/** Two changes at once: the later one applies itself again to what the earlier one left. */
const maxAttempts = 20

/**
 * KEYS the rules of a client. ARGV 1 what they were (empty: nothing), 2 what they shall be (empty: nothing), 3 retention in ms,
 * 4 channel, 5 client. Gives 0 when they were not that any more.
 */
const replaceScript = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
`

/** The mutes in Redis: one JSON text a client, and a channel that names the clients whose text changed. */
export function createRedisMutes({
  url,
  prefix = defaultPrefix,
  retentionMs = 86_400_000,
  onError,
}: RedisMutesOptions): Mutes {
  const commands = connectRedis(url, 'commands', onError)
  const channel = `${prefix}:mutes`
  const keyOf = (client: string) => `${prefix}:mutes:${client}`
  const subscriptions = new Set<Subscription>()

  async function readText(client: string): Promise<string> {
    await whenReady(commands)
    return (await commands.get(keyOf(client))) ?? ''
  }

  async function change(client: string, changes: readonly MuteRule[]): Promise<boolean[]> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const before = await readText(client)
      const rules = new MuteRules(parse(before))
      const taken = changes.map((rule) => rules.apply(rule))
      const after = rules.size === 0 ? '' : JSON.stringify([...rules])
      const words = [before, after, retentionMs, channel, client]
      if ((await runScript(commands, replaceScript, [keyOf(client)], words)) === 1) return taken
    }
    throw new LogUnavailable(`the mutes of ${client} change too fast`)
  }

  return {
    change: (client, changes) => asUnavailable(change(client, changes)),
    read: async (client) => parse(await asUnavailable(readText(client))),
    async watch(onChange) {
      const heard = Promise.withResolvers<void>()
      const subscription = subscribe(url, channel, {
        message: onChange,
        listening: () => {
          heard.resolve()
          onChange(undefined)
        },
        error: onError,
      })
      const open: Subscription = {
        ...subscription,
        close: () => {
          subscriptions.delete(open)
          subscription.close()
          heard.reject(new LogUnavailable('closed before Redis answered'))
        },
      }
      subscriptions.add(open)
      await heard.promise
      return { close: async () => open.close() }
    },
    close: async () => {
      for (const subscription of subscriptions) subscription.close()
      disconnect(commands)
    },
  }
}

/** What is not ours counts as nothing: the next change replaces it. */
function parse(text: string): MuteRule[] {
  try {
    const rules = JSON.parse(text || '[]') as MuteRule[]
    return Array.isArray(rules) ? rules : []
  } catch {
    return []
  }
}
