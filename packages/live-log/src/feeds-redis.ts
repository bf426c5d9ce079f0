import {
  feedRetentionMs,
  formatFeed,
  maxFeedInstances,
  maxFeedTextLength,
  parseFeed,
  type Feed,
  type FeedReport,
  type Feeds,
} from './feed.ts'
import { defaultPrefix, logKeys } from './redis-keys.ts'
import { asUnavailable, connectRedis, disconnect, runScript, whenReady } from './redis.ts'

export type RedisFeedsOptions = {
  url: string
  /** In front of every key. */
  prefix?: string
  /** How long a report counts. */
  retentionMs?: number
  onError?: (error: Error) => void
}

const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ageOf(value) return now - (tonumber(string.match(value, '^(%d+)\\t') or '') or 0) end
`

/**
 * KEYS  1 the reports
 * ARGV  1 the instance, 2 what it reports, 3 how long a report counts (ms), 4 how many instances may be there
 *
 * What is too old is removed, and what has no time is too old. A hash that is too large is not of our making.
 */
const reportScript = `${clock}
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then redis.call('UNLINK', KEYS[1]) end
local found = redis.call('HGETALL', KEYS[1])
for i = 1, #found, 2 do
  if ageOf(found[i + 1]) > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], found[i]) end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d\\t', now) .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
`

/**
 * KEYS  1 the reports
 * ARGV  1 how long a report counts (ms), 2 how many instances may be there, 3 how long a report may be (bytes)
 * Gives age and report in turns.
 */
const readScript = `${clock}
local fresh = {}
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[2]) then return fresh end
local found = redis.call('HVALS', KEYS[1])
for _, value in ipairs(found) do
  local age = ageOf(value)
  if #value <= tonumber(ARGV[3]) and age <= tonumber(ARGV[1]) then
    fresh[#fresh + 1] = string.format('%d', math.max(0, age))
    fresh[#fresh + 1] = string.match(value, '\\t(.*)$')
  end
end
return fresh
`

/** The reports in Redis: a hash with a text per instance, stamped by the clock of Redis. */
export function createRedisFeeds({
  url,
  prefix = defaultPrefix,
  retentionMs = feedRetentionMs,
  onError,
}: RedisFeedsOptions): Feeds {
  const redis = connectRedis(url, 'commands', onError)
  const { feeds } = logKeys(prefix)

  async function report(feed: Feed): Promise<void> {
    await whenReady(redis)
    await runScript(redis, reportScript, [feeds], [feed.instance, formatFeed(feed), retentionMs, maxFeedInstances])
  }

  async function read(): Promise<FeedReport[]> {
    await whenReady(redis)
    const limits = [retentionMs, maxFeedInstances, maxFeedTextLength]
    const fresh = (await runScript(redis, readScript, [feeds], limits)) as string[]
    const now = Date.now()
    const reports: FeedReport[] = []
    for (let index = 0; index + 1 < fresh.length; index += 2) {
      const feed = parseFeed(fresh[index + 1]!)
      if (feed) reports.push({ ...feed, reportedAt: now - Number(fresh[index]) })
    }
    return reports
  }

  return {
    report: (feed) => asUnavailable(report(feed)),
    read: () => asUnavailable(read()),
    close: async () => disconnect(redis),
  }
}
