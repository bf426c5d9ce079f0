import { MuteRules, type MuteRule, type Mutes } from './mutes.ts'
import { defaultPrefix } from './redis-keys.ts'
import { connectRedis, disconnect, runScript, whenReady } from './redis.ts'

export type RedisMutesOptions = {
  url: string
  /** In front of every key and channel. */
  prefix?: string
  /** How long mutes are kept after their last change. */
  retentionMs?: number
  onError?: (error: Error) => void
}

/** Two changes at once: the later one applies itself again to what the earlier one left. */
const attempts = 20

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

  async function change(client: string, changes: readonly MuteRule[]): Promise<boolean[]> {
    await whenReady(commands)
    for (let attempt = 0; attempt < attempts; attempt++) {
      const before = (await commands.get(keyOf(client))) ?? ''
      const rules = new MuteRules(parse(before))
      const taken = changes.map((rule) => rules.apply(rule))
      const after = rules.size === 0 ? '' : JSON.stringify([...rules])
      const isDone = await runScript(
        commands,
        replaceScript,
        [keyOf(client)],
        [before, after, retentionMs, channel, client],
      )
      if (isDone === 1) return taken
    }
    throw new Error(`the mutes of ${client} change too fast`)
  }

  return {
    change,
    async read(client) {
      await whenReady(commands)
      return parse((await commands.get(keyOf(client))) ?? '')
    },
    async watch(onChange) {
      const subscriber = connectRedis(url, 'subscriber', onError)
      subscriber.on('message', (_channel, client: string) => onChange(client))
      await subscriber.subscribe(channel)
      // Reconnected: ioredis subscribes again by itself, but what was said meanwhile is lost.
      subscriber.on('ready', () => onChange(undefined))
      return { close: async () => disconnect(subscriber) }
    },
    close: async () => disconnect(commands),
  }
}

const parse = (text: string): MuteRule[] => (text === '' ? [] : (JSON.parse(text) as MuteRule[]))
