// Everything that knows kafkajs: the consumer as a record source, and the producer for a simulated fleet.
import type { Logger } from '@flasktoria/service-kit/logger'
import kafkajs, {
  type Admin,
  type Consumer,
  type EachBatchPayload,
  type Kafka,
  type KafkaConfig,
  type LogEntry,
  type SASLOptions,
} from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Form } from './decode.ts'
import { lz4Codec, snappyCodec, zstdCodec } from './kafka-codecs.ts'
import { kafkaHint } from './kafka-hints.ts'
import { PartitionLag } from './lag.ts'
import type { Position, RawRecord, RecordConsumer, RecordSource, SourceState } from './record-source.ts'
import { chooseTopics, type TopicRule } from './topics.ts'
import { unlessAborted } from './unless-aborted.ts'

export type KafkaAccess = {
  brokers: string[]
  tls?: { ca?: string | undefined } | undefined
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string } | undefined
}

export type KafkaSourceOptions = KafkaAccess & {
  group: string
  /** Where a topic begins for a group that never committed a position in it. */
  start: 'latest' | 'earliest'
  topics: readonly TopicRule[]
  /** How often to look for topics that came or went, and for the lag. */
  topicCheckMs: number
}

// CommonJS whose names Node does not see.
const { CompressionCodecs, CompressionTypes, KafkaJSError, Partitioners, logLevel } = kafkajs

CompressionCodecs[CompressionTypes.Snappy] = () => snappyCodec
CompressionCodecs[CompressionTypes.LZ4] = () => lz4Codec
CompressionCodecs[CompressionTypes.ZSTD] = () => zstdCodec

// Patience instead of the defaults: after a broker restart it is used again within a second or two, without a rejoin.
const retry = { retries: 200, initialRetryTime: 100, maxRetryTime: 1_000, factor: 0.2, multiplier: 1.5 }
const heartbeatMs = 1_000
const sessionTimeoutMs = 10_000
const commitIntervalMs = 1_000
const minBackoffMs = 100
const maxBackoffMs = 5_000
const closeWithinMs = 5_000
const logIntervalMs = 10_000

type Topics = ReadonlyMap<string, Form>
type Offsets = Map<string, Map<number, string>>

/** All partitions of all topics that the configuration chooses, as a member of a consumer group. */
export const createKafkaSource = (options: KafkaSourceOptions, logger: Logger): RecordSource =>
  new KafkaSource(options, logger)

class KafkaSource implements RecordSource {
  readonly #options: KafkaSourceOptions
  readonly #logger: Logger
  readonly #kafka: Kafka
  readonly #admin: Admin
  #membership: Membership | undefined
  #problem: string | undefined = 'not connected to Kafka yet'

  constructor(options: KafkaSourceOptions, logger: Logger) {
    this.#options = options
    this.#logger = logger
    this.#kafka = connectTo(options, logger)
    this.#admin = this.#kafka.admin()
  }

  state(): SourceState {
    const failing = this.#membership?.failing()
    const lag = failing === undefined ? this.#membership?.lag.read(Date.now()) : undefined
    return { failing: this.#problem ?? failing, ...(lag ?? { lagRecords: null, lagMs: null }) }
  }

  async run(consumer: RecordConsumer, signal: AbortSignal): Promise<void> {
    let starts: Offsets | undefined
    let backoffMs = minBackoffMs
    try {
      while (!signal.aborted) {
        try {
          await unlessAborted(this.#admin.connect(), signal)
          starts ??= await unlessAborted(this.#startOffsets(), signal)
          await this.#consume(await this.#untilTopicsExist(signal), starts, consumer, signal)
          backoffMs = minBackoffMs
        } catch (error) {
          if (signal.aborted) break
          const hint = kafkaHint(error)
          if (isFatal(error)) {
            this.#logger.error({ err: error, hint }, 'Kafka refuses us for good')
            throw error
          }
          this.#problem = 'Kafka does not answer'
          this.#logger.warn({ err: error, hint }, 'Kafka does not answer; trying again')
          await delay(backoffMs, undefined, { signal }).catch(() => {})
          backoffMs = Math.min(backoffMs * 2, maxBackoffMs)
        }
      }
    } finally {
      this.#problem = 'stopped'
      await withinClosingTime(this.#admin.disconnect())
    }
  }

  /** Consumes until the set of topics changes. */
  async #consume(topics: Topics, starts: Offsets, consumer: RecordConsumer, signal: AbortSignal): Promise<void> {
    const membership = new Membership(this.#kafka, this.#options.group, topics, starts, consumer, this.#logger)
    this.#membership = membership
    try {
      await Promise.race([unlessAborted(membership.join(), signal), membership.failed])
      this.#logger.info({ topics: Object.fromEntries(topics), group: this.#options.group }, 'consuming')
      while (await Promise.race([this.#isUnchanged(topics, membership, signal), membership.failed]))
        await Promise.race([delay(this.#options.topicCheckMs, undefined, { signal }), membership.failed])
    } finally {
      await withinClosingTime(membership.leave())
    }
  }

  /** Looks at the topics and the lag. A broker that does not answer changes nothing: what we hold, we keep. */
  async #isUnchanged(topics: Topics, membership: Membership, signal: AbortSignal): Promise<boolean> {
    try {
      if (!isSame(await unlessAborted(this.#chooseTopics(), signal), topics)) return false
      await unlessAborted(membership.look(this.#admin), signal)
    } catch (error) {
      signal.throwIfAborted()
      this.#logger.debug({ err: error }, 'could not look at the topics')
    }
    return true
  }

  async #untilTopicsExist(signal: AbortSignal): Promise<Topics> {
    for (;;) {
      const topics = await unlessAborted(this.#chooseTopics(), signal)
      if (topics.size > 0) return topics
      this.#problem ??= 'there is no topic to consume yet'
      await delay(Math.min(this.#options.topicCheckMs, maxBackoffMs), undefined, { signal })
    }
  }

  async #chooseTopics(): Promise<Topics> {
    const { forms, missing, ambiguous } = chooseTopics(this.#options.topics, await this.#admin.listTopics())
    const problems = [
      ...(missing.length > 0 ? [`there is no topic ${missing.join(', ')}`] : []),
      ...(ambiguous.length > 0 ? [`several forms are configured for topic ${ambiguous.join(', ')}`] : []),
    ]
    const problem = problems.length > 0 ? problems.join('; ') : undefined
    if (problem !== undefined && problem !== this.#problem) this.#logger.warn(`${problem}; looking again and again`)
    this.#problem = problem
    return forms
  }

  /**
   * With `latest`: the present end of each topic in which this group never committed. Committed as soon as we are a member, so
   * that "latest" happens once: whatever comes later, also while nobody runs, is read. Everything else, such as a partition or
   * a topic that appears later, begins at its beginning. kafkajs' own `fromBeginning: false` would lose it.
   */
  async #startOffsets(): Promise<Offsets> {
    const starts: Offsets = new Map()
    const topics = [...(await this.#chooseTopics()).keys()]
    if (this.#options.start === 'earliest' || topics.length === 0) return starts
    const committed = await this.#admin.fetchOffsets({ groupId: this.#options.group, topics })
    for (const { topic, partitions } of committed) {
      if (partitions.some(({ offset }) => offset !== '-1')) continue
      // oxlint-disable-next-line no-await-in-loop -- once, at the start
      const ends = await this.#admin.fetchTopicOffsets(topic)
      starts.set(topic, new Map(ends.map(({ partition, high }) => [partition, high])))
    }
    return starts
  }
}

/** One membership in the consumer group, for a fixed set of topics. */
class Membership {
  /** Rejects when kafkajs gave up for good. */
  readonly failed: Promise<never>
  readonly lag = new PartitionLag()
  readonly #fail: (error: unknown) => void
  readonly #group: string
  readonly #topics: Topics
  readonly #starts: Offsets
  readonly #consumer: RecordConsumer
  readonly #logger: Logger
  readonly #kafka: Consumer
  /** Counts joins. What was uncommitted before a join comes again after it, here or elsewhere. */
  #generation = 0
  #assigned = new Map<string, readonly number[]>()
  #committed = new Map<string, number>()
  #latest: EachBatchPayload | undefined
  readonly #inFlight = new Set<{ done: Promise<void>; giveUp: AbortController }>()
  #isLeaving = false
  #heardAt = Date.now()
  #commitTimer: NodeJS.Timeout | undefined

  constructor(kafka: Kafka, group: string, topics: Topics, starts: Offsets, consumer: RecordConsumer, logger: Logger) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.failed = promise
    this.#fail = reject
    this.#group = group
    this.#topics = topics
    this.#starts = starts
    this.#consumer = consumer
    this.#logger = logger
    this.#kafka = kafka.consumer({
      groupId: group,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: heartbeatMs,
      rebalanceTimeout: 15_000,
      maxWaitTimeInMs: 250,
      minBytes: 1,
      maxBytesPerPartition: 512 * 1024,
      metadataMaxAge: 30_000,
      allowAutoTopicCreation: false,
      retry,
    })
    const { GROUP_JOIN, REBALANCING, HEARTBEAT, CRASH } = this.#kafka.events
    this.#kafka.on(GROUP_JOIN, ({ payload }) => this.#onJoin(payload.memberAssignment))
    this.#kafka.on(REBALANCING, () => this.#commit())
    this.#kafka.on(HEARTBEAT, () => {
      this.#heardAt = Date.now()
    })
    this.#kafka.on(CRASH, ({ payload: { error, restart } }) => {
      this.#latest = undefined
      if (!restart) this.#fail(error)
    })
  }

  failing(): string | undefined {
    const silentMs = Date.now() - this.#heardAt
    if (this.#generation === 0) return 'joining the consumer group'
    return silentMs > sessionTimeoutMs ? `Kafka has been silent for ${Math.round(silentMs / 1000)} s` : undefined
  }

  async join(): Promise<void> {
    await this.#kafka.connect()
    await this.#kafka.subscribe({ topics: [...this.#topics.keys()], fromBeginning: true })
    await this.#kafka.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: this.#consumer.atOnce ?? 1,
      eachBatch: (payload) => this.#takeBatch(payload),
    })
    await this.#commitStarts()
    this.#commitTimer = setInterval(() => this.#commit(), commitIntervalMs)
  }

  /** Finishes or gives up the batch in hand, commits, and leaves the group. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    clearInterval(this.#commitTimer)
    for (const { giveUp } of this.#inFlight) giveUp.abort()
    await Promise.allSettled([...this.#inFlight].map(({ done }) => done))
    await this.#commit()
    await this.#kafka.disconnect()
  }

  /** Looks where our partitions end. */
  async look(admin: Admin): Promise<void> {
    const generation = this.#generation
    const topics = [...this.#assigned.keys()]
    const committed = topics.length === 0 ? [] : await admin.fetchOffsets({ groupId: this.#group, topics })
    for (const { topic, partitions } of committed) {
      // oxlint-disable-next-line no-await-in-loop -- a handful of topics, every few seconds
      const ends = await admin.fetchTopicOffsets(topic)
      if (generation !== this.#generation) return
      for (const { partition, high, low } of ends) {
        if (!this.#assigned.get(topic)?.includes(partition)) continue
        const known = partitions.find((other) => other.partition === partition)?.offset ?? '-1'
        this.lag.look(keyOf(topic, partition), Math.max(Number(low), Number(known)), Number(high), Date.now())
      }
    }
    this.lag.know()
  }

  /** kafkajs does not wait for this: all of it has to happen at once. */
  #onJoin(assignment: Record<string, number[]>): void {
    this.#generation += 1
    this.#heardAt = Date.now()
    this.#assigned = new Map(Object.entries(assignment))
    this.lag.forget()
    this.#committed.clear()
    for (const { giveUp } of this.#inFlight) giveUp.abort()
    // Not when the next batch comes: until then a consumer might store what is another member's by now.
    this.#consumer.rewind?.()
    for (const { topic, partition, offset } of this.#ownStarts()) this.#kafka.seek({ topic, partition, offset })
  }

  #ownStarts() {
    return [...this.#assigned].flatMap(([topic, partitions]) =>
      partitions.flatMap((partition) => {
        const offset = this.#starts.get(topic)?.get(partition)
        return offset === undefined ? [] : [{ topic, partition, offset }]
      }),
    )
  }

  async #commitStarts(): Promise<void> {
    if (this.#generation === 0) return
    const starts = this.#ownStarts()
    if (starts.length > 0) await this.#kafka.commitOffsets(starts)
    this.#starts.clear()
  }

  async #takeBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload
    const form = this.#topics.get(batch.topic)
    const last = batch.messages.at(-1)
    if (this.#isLeaving || !form || !last) return
    this.#latest = payload
    const generation = this.#generation
    const place = keyOf(batch.topic, batch.partition)
    const { offset, timestamp } = batch.messages[0]!
    this.lag.take(place, Number(offset), Number(batch.highWatermark), Number(timestamp), Date.now())
    const isAccepted = await this.#handOver(recordsOf(batch, form), payload)
    // After a rejoin the partition may be another member's; and kafkajs reads it from its last commit again.
    if (!isAccepted || generation !== this.#generation) return
    payload.resolveOffset(last.offset)
    this.lag.handle(place, Number(last.offset) + 1, Number(last.timestamp), Date.now())
    await payload.heartbeat()
  }

  /** False: given up, because we leave or rejoined. @throws what the consumer or the heartbeat threw: kafkajs knows what to do */
  async #handOver(records: readonly RawRecord[], payload: EachBatchPayload): Promise<boolean> {
    const giveUp = new AbortController()
    const { promise: failedBeat, reject: onFailedBeat } = Promise.withResolvers<never>()
    failedBeat.catch(() => giveUp.abort())
    const beating = setInterval(() => payload.heartbeat().catch(onFailedBeat), heartbeatMs)
    const done = this.#consumer.accept(records, giveUp.signal)
    const batch = { done, giveUp }
    this.#inFlight.add(batch)
    try {
      await done
      return true
    } catch (error) {
      if (!giveUp.signal.aborted) throw error
      // Aborted by a failed heartbeat: rejects with its error. Otherwise by us.
      return await Promise.race([failedBeat, Promise.resolve(false)])
    } finally {
      clearInterval(beating)
      this.#inFlight.delete(batch)
    }
  }

  /** Never throws: the heartbeat finds out what is wrong. */
  async #commit(): Promise<void> {
    const latest = this.#latest
    if (!latest) return
    // Of the present generation only: positions of partitions that moved would rewind their new owner.
    const safe = this.#newlySafe()
    const topics = safe ? safe.map(offsetOf) : latest.uncommittedOffsets().topics
    if (topics.length === 0) return
    const generation = this.#generation
    try {
      await latest.commitOffsetsIfNecessary({ topics })
    } catch (error) {
      this.#logger.debug({ err: error }, 'could not commit')
      return
    }
    if (generation !== this.#generation) return
    for (const { topic, partition, offset } of safe ?? []) this.#committed.set(keyOf(topic, partition), offset)
  }

  /** Undefined: the consumer does not say, so what it accepted is safe. */
  #newlySafe(): Position[] | undefined {
    if (!this.#consumer.safePositions) return undefined
    return [...this.#consumer.safePositions()].filter(
      ({ topic, partition, offset }) =>
        this.#assigned.get(topic)?.includes(partition) && this.#committed.get(keyOf(topic, partition)) !== offset,
    )
  }
}

const offsetOf = ({ topic, partition, offset }: Position) => ({
  topic,
  partitions: [{ partition, offset: String(offset) }],
})

const keyOf = (topic: string, partition: number): string => `${topic}\t${partition}`

const recordsOf = ({ topic, partition, messages }: EachBatchPayload['batch'], form: Form): RawRecord[] =>
  messages.map(({ offset, value, timestamp }) => ({
    topic,
    form,
    partition,
    offset: Number(offset),
    value,
    timestamp: Number(timestamp),
  }))

const isSame = (a: Topics, b: Topics): boolean =>
  a.size === b.size && [...a].every(([topic, form]) => b.get(topic) === form)

/** A broker that is away must not keep us from stopping. */
const withinClosingTime = async (closing: Promise<void>): Promise<void> => {
  await Promise.race([closing.catch(() => {}), delay(closeWithinMs, undefined, { ref: false })])
}

/** Retries that ran out are no reason to give up; what kafkajs calls not retriable is. */
const isFatal = (error: unknown): boolean =>
  !(error instanceof KafkaJSError) || (!error.retriable && error.name !== 'KafkaJSNumberOfRetriesExceeded')

const connectTo = ({ brokers, tls, sasl }: KafkaAccess, logger: Logger): Kafka => {
  const config: KafkaConfig = {
    clientId: 'flasktoria',
    brokers,
    connectionTimeout: 1_000,
    retry,
    logCreator: () => logTo(logger),
  }
  if (tls) config.ssl = tls.ca === undefined ? true : { ca: tls.ca }
  if (sasl) config.sasl = sasl as SASLOptions
  return new kafkajs.Kafka(config)
}

/** kafkajs says the same thing at every try: once in a while is enough. */
function logTo(logger: Logger): (entry: LogEntry) => void {
  const said = new Map<string, number>()
  return ({ level, namespace, log: { message, error, groupId } }) => {
    if (level > logLevel.WARN) return logger.debug({ namespace, error, groupId }, message)
    const now = Date.now()
    if ((said.get(message) ?? 0) > now - logIntervalMs) return undefined
    if (said.size > 100) said.clear()
    said.set(message, now)
    const hint = kafkaHint({ message: `${message} ${error}` })
    return logger.warn({ namespace, error, groupId, hint }, `kafkajs: ${message}`)
  }
}

/** Writes records into Kafka: what a simulated fleet needs to look like a real one. */
export function createKafkaWriter(access: KafkaAccess, logger: Logger): RecordConsumer & AsyncDisposable {
  const producer = connectTo(access, logger).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false,
  })
  let connected: Promise<void> | undefined
  return {
    accept: async (records) => {
      await (connected ??= producer.connect())
      const messages = Map.groupBy(records, ({ topic }) => topic)
      await producer.sendBatch({
        topicMessages: [...messages].map(([topic, ofTopic]) => ({
          topic,
          messages: ofTopic.map(({ key = null, value, timestamp }) => ({
            key,
            value,
            timestamp: String(timestamp),
          })),
        })),
      })
    },
    [Symbol.asyncDispose]: () => producer.disconnect(),
  }
}
