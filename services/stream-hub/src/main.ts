// stream-hub sends what happens in the live log to every connected browser, each in its own choice.
import { streamLimits } from '@flasktoria/contracts/stream'
import type { Feeds } from '@flasktoria/live-log/feed'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createRedisFeeds } from '@flasktoria/live-log/feeds-redis'
import type { LogReader } from '@flasktoria/live-log/log'
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import type { Mutes } from '@flasktoria/live-log/mutes'
import { createRedisMutes } from '@flasktoria/live-log/mutes-redis'
import { ConfigError } from '@flasktoria/service-kit/config'
import { createLogger, type Logger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { runService } from '@flasktoria/service-kit/run-service'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClientMutes } from './client-mutes.ts'
import { configSchema, hubOptionsOf, optionNames, type Config } from './config.ts'
import { Conversation } from './conversation.ts'
import { drain } from './drain.ts'
import { watchFeeds } from './watch-feeds.ts'
import { FlushLoop } from './flush-loop.ts'
import { followLog } from './follow-log.ts'
import { createHubMetrics, registerHubFigures } from './hub-metrics.ts'
import { Hub } from './hub.ts'
import { listen } from './listen.ts'
import { createOperations } from './operations.ts'
import { Reception } from './reception.ts'
import { rehearse } from './rehearsal.ts'

/** Parts that the caller made, and keeps: they are not closed with the service. */
export type Overrides = { reader?: LogReader; mutes?: Mutes; feeds?: Feeds; logger?: Logger }

const now = () => performance.now()

/** A log that answers within this time is there when `start` resolves; another one is waited for in the background. */
const firstSnapshotMs = 1_000

export async function start(config: Config, overrides: Overrides = {}) {
  await using parts = new AsyncDisposableStack()
  const own = <T extends { close(): Promise<void> }>(part: T): T => parts.adopt(part, (it) => it.close())
  const logger = overrides.logger ?? createLogger('stream-hub', config.LOG_LEVEL)
  const metrics = createMetrics('stream-hub')
  const hubMetrics = createHubMetrics(metrics)
  const onError = (error: Error) => logger.warn({ err: error }, 'Redis is in trouble')
  const reader = overrides.reader ?? own(createRedisLog({ url: redisUrl(config), onError }))
  const mutes = overrides.mutes ?? own(createRedisMutes({ url: redisUrl(config), onError }))

  const feeds = overrides.feeds ?? own(openFeeds(config, onError))

  const hub: Hub = new Hub({
    options: hubOptionsOf(config),
    metrics: hubMetrics,
    now,
    wallNow: Date.now,
    wake: () => loop.wake(),
    flushSoon: () => loop.flushSoon(),
  })
  const loop = new FlushLoop(hub)
  parts.defer(() => loop.stop())
  registerHubFigures(metrics, () => hub.figures())
  const clientMutes = parts.use(new ClientMutes({ mutes, logger, onFailure: () => hubMetrics.muteFailures.inc() }))
  const reception = new Reception({
    hub,
    mutes: clientMutes,
    conversation: new Conversation({
      hub,
      now,
      limits: { maxSubscriptions: config.MAX_SUBSCRIPTIONS, maxVehicles: config.MAX_VEHICLES },
      onError: (code) => hubMetrics.errors.inc({ code }),
    }),
    maxConnections: config.MAX_CONNECTIONS,
    allowedOrigins: config.ALLOWED_ORIGINS,
    onRefusal: (reason) => hubMetrics.refusals.inc({ reason }),
  })
  void clientMutes.start()
  const following = followLog(reader, hub, logger)
  own(following)
  parts.use(watchFeeds(feeds, (reports) => hub.setFeedReports(reports)))

  const server = await listen(
    { choice: config.TRANSPORT, logger, metrics },
    {
      host: config.HOST,
      port: config.PORT,
      // Longer ones than the contract allows come through up to here, so that the close code can say what was wrong.
      maxMessageBytes: streamLimits.messageBytes * 4,
      maxBufferedBytes: config.MAX_BUFFERED_BYTES,
      // The hub closes first, and says why.
      idleTimeoutMs: config.IDLE_TIMEOUT_MS + 8_000,
      admit: (handshake) => reception.admit(handshake),
      answer: createOperations([{ name: 'log', failing: () => hub.logTrouble }], metrics),
    },
  )
  parts.defer(async () => {
    reception.close()
    server.stopListening()
    await drain(hub, config.DRAIN_MS, Math.random)
    // What was said to the clients has to leave before the sockets go.
    await sleep(lastWordsMs)
    server.close()
  })
  await Promise.race([following.isFollowing, sleep(firstSnapshotMs, undefined, { ref: false })])

  const host = config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST
  const url = `ws://${host}:${server.port}`
  logger.info({ url, transport: server.transport }, 'stream-hub listens')
  const running = parts.move()
  return { url, port: server.port, metrics, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
export type StreamHub = Awaited<ReturnType<typeof start>>

const lastWordsMs = 200

const openFeeds = ({ REDIS_URL: url }: Config, onError: (error: Error) => void): Feeds =>
  url === undefined ? createMemoryFeeds() : createRedisFeeds({ url, onError })

function redisUrl({ REDIS_URL }: Config): string {
  if (REDIS_URL === undefined)
    throw new ConfigError('REDIS_URL names no Redis: the hub needs one for the live log and the mutes')
  return REDIS_URL
}

if (import.meta.main)
  await runService(configSchema, optionNames, async (config) => {
    await rehearse(hubOptionsOf(config))
    return start(config)
  })
