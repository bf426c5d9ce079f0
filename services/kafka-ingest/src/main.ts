// kafka-ingest turns records (of Kafka, a recording or the simulator) into updates in the live log and, if wanted, history files.
import type { Feed, Feeds } from '@flasktoria/live-log/feed'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createRedisFeeds } from '@flasktoria/live-log/feeds-redis'
import type { Lease } from '@flasktoria/live-log/lease'
import { createMemoryLease } from '@flasktoria/live-log/lease-memory'
import { createRedisLease } from '@flasktoria/live-log/lease-redis'
import type { LogReader, LogWriter } from '@flasktoria/live-log/log'
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { ConfigError } from '@flasktoria/service-kit/config'
import type { HealthCheck } from '@flasktoria/service-kit/health'
import { createLogger, type Logger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { giveUp, runService } from '@flasktoria/service-kit/run-service'
import { hostname } from 'node:os'
import { configSchema, kafkaAccess, optionNames, topicRules, type Config } from './config.ts'
import { createMemoryDeadLetters, keptTwice, type DeadLetters } from './dead-letters.ts'
import { createRedisDeadLetters } from './dead-letters-redis.ts'
import { openHistoryStore } from './history-config.ts'
import { openHistory, type History, type HistoryOptions } from './history.ts'
import { createIngestMetrics, type IngestMetrics } from './ingest-metrics.ts'
import { createInterpreter } from './interpret.ts'
import { startFeedReporter } from './feed-reporter.ts'
import { createKafkaDeadLetters } from './kafka-dead-letters.ts'
import { serveOperations } from './operations.ts'
import { createKafkaMetrics, type KafkaMetrics } from './kafka-metrics.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'
import { presenceLimits } from './presence-config.ts'
import { tee, type RecordSource } from './record-source.ts'
import { createRefusals } from './refusals.ts'
import { createKafkaSource } from './source-kafka.ts'
import { withSchemas } from './source-with-schemas.ts'
import { createRecordingSource } from './source-recording.ts'
import { createSimulatorSource } from './source-simulator.ts'
import { refusingTeleports } from './teleports.ts'
import { createTransform } from './transform.ts'
import { VehicleWatch } from './vehicle-watch.ts'

export type Overrides = {
  /** Parts that the caller made, and keeps: they are not closed with the service. */
  log?: LogWriter & LogReader
  feeds?: Feeds
  source?: RecordSource
  logger?: Logger
  /** Called when a source failed for good. The service stands still then, and says so at /readyz. */
  onFatal?: (error: unknown) => void
}

export async function start(config: Config, overrides: Overrides = {}) {
  await using parts = new AsyncDisposableStack()
  const own = <T extends { close(): Promise<void> }>(part: T): T => parts.adopt(part, (it) => it.close())
  const logger = overrides.logger ?? createLogger('kafka-ingest', config.LOG_LEVEL)
  const metrics = createMetrics('kafka-ingest')
  const ingestMetrics = createIngestMetrics(metrics)
  const interpret = createInterpreter({
    earliestTs: config.EARLIEST_TIME,
    maxAheadMs: config.MAX_AHEAD_MS,
    sensors: config.SENSORS_FILE,
  })
  const log = overrides.log ?? own(openLog(config))
  const deadLetters = own(openDeadLetters(config, ingestMetrics, logger))
  // A recording that runs faster makes its vehicles faster.
  const haste = config.SOURCE === 'recording' ? Math.max(1, config.RECORDING_SPEED) : 1
  const pipeline = createPipeline({
    interpret: config.MAX_SPEED_KMH === 0 ? interpret : refusingTeleports(interpret, config.MAX_SPEED_KMH * haste),
    transform: createTransform({ sensors: config.SENSORS_FILE, anomalies: config.ANOMALIES_FILE }),
    log,
    refusals: createRefusals(deadLetters, ingestMetrics, logger, { keptPerSecond: config.DEAD_LETTERS_PER_SECOND }),
    metrics: ingestMetrics,
    logger,
    ...(config.SOURCE === 'kafka' && { appendIntervalMs: config.APPEND_INTERVAL_MS }),
  })
  const historyOptions = await openHistoryOptions(config, parts)
  const history = historyOptions && parts.use(await openHistory(historyOptions, { interpret, metrics, logger }))
  const kafkaMetrics = config.SOURCE === 'kafka' ? createKafkaMetrics(metrics) : undefined
  const openSource = (groupSuffix = '') => createSource(config, { logger, kafkaMetrics, groupSuffix })
  const source = overrides.source ?? openSource()
  metrics.gauge('lag_records', 'Records that wait in Kafka.', [], function collect() {
    this.set(source.state().lagRecords ?? 0)
  })

  let failure: string | undefined
  const checks: HealthCheck[] = [
    { name: 'source', failing: () => failure ?? source.state().failing },
    { name: 'log', failing: () => log.ping().then(() => pipeline.logTrouble()?.reason) },
    ...(history ? [{ name: 'history', isDegradedOnly: true, failing: () => history.failing() }] : []),
  ]
  const operations = parts.use(
    await serveOperations({ host: config.HOST, port: config.PORT }, { checks, metrics, deadLetters }),
  )

  const lease = overrides.log ? createMemoryLease() : own(openLease(config))
  parts.use(new VehicleWatch({ lease, log, limits: presenceLimits(config), metrics, logger }))

  const stopping = new AbortController()
  const work = runAll(config, { source, openSource, pipeline, history }, stopping.signal).map((run) =>
    run.catch((error: unknown) => {
      failure = error instanceof Error ? error.message : String(error)
      logger.fatal({ err: error }, 'a source failed for good')
      overrides.onFatal?.(error)
    }),
  )
  const feeds = overrides.feeds ?? own(openFeeds(config))
  const instance = `${hostname()}:${new URL(operations.url).port}`
  parts.use(startFeedReporter(instance, { feeds, measure: () => measureFeed(source, pipeline, history), logger }))
  parts.defer(async () => {
    stopping.abort()
    await Promise.all(work)
  })
  logger.info({ url: operations.url, source: config.SOURCE }, 'kafka-ingest runs')

  const running = parts.move()
  return { url: operations.url, metrics, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
export type KafkaIngest = Awaited<ReturnType<typeof start>>

type Runners = {
  source: RecordSource
  /** Another one, of a group of its own. */
  openSource: (groupSuffix: string) => RecordSource
  pipeline: Pipeline
  history: History | undefined
}

/** In Kafka each consumer has a group of its own; the other sources are read once, by both. */
function runAll(
  config: Config,
  { source, openSource, pipeline, history }: Runners,
  signal: AbortSignal,
): Promise<void>[] {
  if (!history) return [source.run(pipeline, signal)]
  if (config.SOURCE !== 'kafka') return [source.run(tee(pipeline, history.consumer), signal)]
  return [source.run(pipeline, signal), history.consume(openSource('-history'), signal)]
}

type SourceParts = { logger: Logger; kafkaMetrics: KafkaMetrics | undefined; groupSuffix: string }

function createSource(config: Config, { logger, kafkaMetrics, groupSuffix }: SourceParts): RecordSource {
  if (config.SOURCE === 'simulator')
    return createSimulatorSource({
      vehicles: config.SIMULATOR_VEHICLES,
      seed: config.SIMULATOR_SEED,
      topics: { sensor: 'simulator.sensor', anomaly: 'simulator.anomaly' },
    })
  if (config.SOURCE === 'recording') {
    const { RECORDING_FILE: path, RECORDING_SPEED: speed } = config
    return createRecordingSource({ path, speed, topic: 'recording' }, logger)
  }
  const topics = topicRules(config, config.TEXT_TIME_ZONE)
  const source = createKafkaSource(
    {
      ...kafkaAccess(config),
      group: config.KAFKA_GROUP + groupSuffix,
      start: config.KAFKA_START,
      topics,
      topicCheckMs: config.KAFKA_TOPIC_CHECK_MS,
      sessionTimeoutMs: config.KAFKA_SESSION_TIMEOUT_MS,
      ...(groupSuffix === '' && { maxBacklogMs: config.MAX_BACKLOG_MS }),
    },
    logger,
    kafkaMetrics,
  )
  const profiles = topics.map(({ profile }) => profile)
  return withSchemas(source, profiles, logger)
}

function openLog({ REDIS_URL, STATE_RETENTION_MS: retentionMs }: Config): LogWriter & LogReader {
  if (REDIS_URL === undefined)
    throw new ConfigError('REDIS_URL is missing: without Redis nobody could read what this service writes')
  return createRedisLog({ url: REDIS_URL, retentionMs })
}

/** Without Redis there is one process only. */
const openLease = ({ REDIS_URL }: Config): Lease =>
  REDIS_URL === undefined ? createMemoryLease() : createRedisLease({ url: REDIS_URL, name: 'vehicle-watch' })

const openFeeds = ({ REDIS_URL }: Config): Feeds =>
  REDIS_URL === undefined ? createMemoryFeeds() : createRedisFeeds({ url: REDIS_URL })

function measureFeed(source: RecordSource, pipeline: Pipeline, history: History | undefined): Omit<Feed, 'instance'> {
  const { lagRecords: kafkaLagRecords, lagMs: kafkaLagMs } = source.state()
  const [newestEventTs, warehouseLagMs] = [pipeline.newestEventTs(), history?.lagMs() ?? null]
  return { kafkaLagRecords, kafkaLagMs, newestEventTs, warehouseLagMs }
}

function openDeadLetters(config: Config, { deadLettersLost }: IngestMetrics, logger: Logger): DeadLetters {
  const { REDIS_URL: url, MAX_DEAD_LETTERS: capacity } = config
  const lostBy = (cause: string) => (letters: number) => deadLettersLost.inc({ cause }, letters)
  const kept =
    url === undefined
      ? createMemoryDeadLetters(capacity)
      : createRedisDeadLetters({ url, capacity, onLost: lostBy('redis') })
  if (config.SOURCE !== 'kafka' || config.DEAD_LETTER_TOPIC === undefined) return kept
  const options = { ...kafkaAccess(config), topic: config.DEAD_LETTER_TOPIC, onLost: lostBy('kafka') }
  return keptTwice(kept, createKafkaDeadLetters(options, logger))
}

async function openHistoryOptions(config: Config, parts: AsyncDisposableStack): Promise<HistoryOptions | undefined> {
  const store = await openHistoryStore(config, parts)
  if (store === undefined) return undefined
  const options: HistoryOptions = {
    store,
    retentionDays: config.HISTORY_RETENTION_DAYS,
    flushIntervalMs: config.HISTORY_FLUSH_INTERVAL_MS,
    flushRows: config.HISTORY_FLUSH_ROWS,
    run: config.SOURCE === 'kafka' ? undefined : Date.now().toString(36),
  }
  if (config.HS2_URL === undefined) return options
  const { createHs2Warehouse } = await import('@flasktoria/warehouse/warehouse-hs2')
  const warehouse = parts.adopt(await createHs2Warehouse({ url: config.HS2_URL }), (it) => it.close())
  const { HISTORY_LOCATION: location, HISTORY_DATABASE: database } = config
  return { ...options, register: { warehouse, ...(location && { location }), ...(database && { database }) } }
}

if (import.meta.main) await runService(configSchema, optionNames, (config) => start(config, { onFatal: giveUp }))
