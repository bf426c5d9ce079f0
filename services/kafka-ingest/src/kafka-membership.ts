import type { Logger } from '@flasktoria/service-kit/logger'
import type { Admin, Consumer, EachBatchPayload, Kafka } from 'kafkajs'
import type { TopicProfile } from './topic-profile.ts'
import { retry } from './kafka-client.ts'
import type { Offsets } from './kafka-offsets.ts'
import type { Topics } from './kafka-topics.ts'
import { PartitionLag } from './lag.ts'
import type { Position, RawRecord, RecordConsumer } from './record-source.ts'

const maxHeartbeatMs = 1_000
const commitIntervalMs = 1_000

export type MemberOptions = {
  group: string
  /** How long a member may be silent before the group goes on without it. */
  sessionTimeoutMs: number
}

/** One membership in the consumer group, for a fixed set of topics. */
export class Membership {
  /** Rejects when kafkajs gave up for good. */
  readonly failed: Promise<never>
  readonly lag = new PartitionLag()
  readonly #fail: (error: unknown) => void
  readonly #options: MemberOptions
  readonly #heartbeatMs: number
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

  constructor(
    kafka: Kafka,
    options: MemberOptions,
    topics: Topics,
    starts: Offsets,
    consumer: RecordConsumer,
    logger: Logger,
  ) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.failed = promise
    this.#fail = reject
    this.#options = options
    this.#heartbeatMs = Math.min(maxHeartbeatMs, Math.floor(options.sessionTimeoutMs / 3))
    this.#topics = topics
    this.#starts = starts
    this.#consumer = consumer
    this.#logger = logger
    this.#kafka = kafka.consumer({
      groupId: options.group,
      sessionTimeout: options.sessionTimeoutMs,
      heartbeatInterval: this.#heartbeatMs,
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
    return silentMs > this.#options.sessionTimeoutMs
      ? `Kafka has been silent for ${Math.round(silentMs / 1000)} s`
      : undefined
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
    const committed = topics.length === 0 ? [] : await admin.fetchOffsets({ groupId: this.#options.group, topics })
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
    const profile = this.#topics.get(batch.topic)
    const last = batch.messages.at(-1)
    if (this.#isLeaving || !profile || !last) return
    this.#latest = payload
    const generation = this.#generation
    const place = keyOf(batch.topic, batch.partition)
    const { offset, timestamp } = batch.messages[0]!
    this.lag.take(place, Number(offset), Number(batch.highWatermark), Number(timestamp), Date.now())
    const isAccepted = await this.#handOver(recordsOf(batch, profile), payload)
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
    const beating = setInterval(() => payload.heartbeat().catch(onFailedBeat), this.#heartbeatMs)
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

const recordsOf = ({ topic, partition, messages }: EachBatchPayload['batch'], profile: TopicProfile): RawRecord[] =>
  messages.map(({ offset, value, timestamp }) => ({
    topic,
    profile,
    partition,
    offset: Number(offset),
    value,
    timestamp: Number(timestamp),
  }))
