// query-api answers REST: live questions out of the live log's recent past, questions about history out of the warehouse.
import type { Feeds } from '@flasktoria/live-log/feed'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createRedisFeeds } from '@flasktoria/live-log/feeds-redis'
import type { LogReader } from '@flasktoria/live-log/log'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import type { Mutes } from '@flasktoria/live-log/mutes'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { createRedisMutes } from '@flasktoria/live-log/mutes-redis'
import { createLogger, type Logger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { runService } from '@flasktoria/service-kit/run-service'
import { tableProfiles } from '@flasktoria/warehouse/table-profile'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createApp } from './app.ts'
import { configSchema, optionNames, type Config } from './config.ts'
import { followLog } from './follow-log.ts'
import { createHistory } from './history.ts'
import { createHttpServer } from './http-server.ts'
import { openWarehouse } from './open-warehouse.ts'
import { RecentWindow } from './recent-window.ts'
import { createRequestMetrics } from './request-metrics.ts'
import { followFeeds, Watermark } from './watermark.ts'

/** Parts that the caller made, and keeps: they are not closed with the service. */
export type Overrides = { reader?: LogReader; mutes?: Mutes; feeds?: Feeds; warehouse?: Warehouse; logger?: Logger }

export async function start(config: Config, overrides: Overrides = {}) {
  await using parts = new AsyncDisposableStack()
  const own = <T extends { close(): Promise<void> } | undefined>(part: T): T => parts.adopt(part, (it) => it?.close())
  const logger = overrides.logger ?? createLogger('query-api', config.LOG_LEVEL)
  const onError = (error: Error) => logger.debug({ err: error }, 'Redis failed')
  const metrics = createMetrics('query-api')
  const reader = overrides.reader ?? own(openLog(config, onError))
  const mutes = overrides.mutes ?? own(openMutes(config, onError))
  const feeds = overrides.feeds ?? own(openFeeds(config, onError))
  const warehouse = overrides.warehouse ?? own(await openWarehouse(config, metrics, logger))

  const window = new RecentWindow(
    {
      retentionMs: config.WINDOW_MS,
      maxReadings: config.WINDOW_MAX_READINGS,
      maxAnomalies: config.WINDOW_MAX_ANOMALIES,
    },
    Date.now,
  )
  const requestMetrics = createRequestMetrics(metrics, window)
  const history =
    warehouse &&
    createHistory({
      warehouse,
      profile: 'TABLE_PROFILE' in config ? config.TABLE_PROFILE : tableProfiles.own,
      maxRows: config.MAX_ROWS,
      deadlineMs: config.QUERY_DEADLINE_MS,
      onRows: (question, rows) => requestMetrics.historyRows.inc({ question }, rows),
      now: Date.now,
    })
  const watermark = history && new Watermark(Date.now, { delayMs: config.HISTORY_DELAY_MS })
  if (watermark) parts.use(followFeeds(feeds, watermark))
  const app = createApp({
    window,
    windowMs: config.WINDOW_MS,
    history,
    watermark,
    mutes,
    catalogues: { sensors: config.SENSORS_FILE, anomalies: config.ANOMALIES_FILE, names: config.VEHICLES_FILE },
    limits: {
      sensorIds: config.MAX_SENSOR_IDS,
      rows: config.MAX_ROWS,
      historyRequests: config.MAX_HISTORY_REQUESTS,
      fleetPeriodMs: config.MAX_FLEET_PERIOD_MS,
    },
    maxBodyBytes: config.MAX_BODY_BYTES,
    origins: config.CORS_ORIGINS,
    historyRate: { burst: config.HISTORY_RATE_BURST, perSecond: config.HISTORY_RATE_PER_SECOND },
    maxWaitMs: config.QUERY_DEADLINE_MS,
    settledAfterMs: config.SETTLED_AFTER_MS,
    now: Date.now,
    newClientId: randomUUID,
    metrics,
    requestMetrics,
    logger,
  })

  own(followLog(reader, window, logger))
  const { server, stop } = createHttpServer(app)
  server.listen(config.PORT, config.HOST)
  await once(server, 'listening')
  parts.defer(stop)
  const { port } = server.address() as AddressInfo
  const url = `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${port}`
  logger.info({ url, warehouse: config.WAREHOUSE }, 'query-api listens')

  const running = parts.move()
  return { app, url, metrics, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
export type QueryApi = Awaited<ReturnType<typeof start>>

type OnError = (error: Error) => void
const openLog = ({ REDIS_URL: url }: Config, onError: OnError): LogReader =>
  url === undefined ? createMemoryLog() : createRedisLog({ url, onError })
const openMutes = ({ REDIS_URL: url }: Config, onError: OnError): Mutes =>
  url === undefined ? createMemoryMutes() : createRedisMutes({ url, onError })
const openFeeds = ({ REDIS_URL: url }: Config, onError: OnError): Feeds =>
  url === undefined ? createMemoryFeeds() : createRedisFeeds({ url, onError })

if (import.meta.main) await runService(configSchema, optionNames, (config) => start(config))
