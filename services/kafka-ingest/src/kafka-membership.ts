import type { Logger } from '@flasktoria/service-kit/logger'
import type { Admin, Consumer, EachBatchPayload, Kafka } from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import { recordsOf, withWholeBatches } from './kafka-batches.ts'
import { retry } from './kafka-client.ts'
import type { KafkaMetrics, MemberFigures } from './kafka-metrics.ts'
import type { Offsets } from './kafka-offsets.ts'
import { Positions } from './kafka-positions.ts'
import type { Topics } from './kafka-topics.ts'
import { PartitionLag } from './lag.ts'
import type { Position, RawRecord, RecordConsumer } from './record-source.ts'

const maxHeartbeatMs = 1_000
const rebalanceTimeoutMs = 15_000
const commitIntervalMs = 1_000
const maxMetadataAgeMs = 30_000
const askWithinMs = 5_000

export type MemberOptions = {
  group: string
  /** How long a member may be silent before the group goes on without it. */
  sessionTimeoutMs: number
  /** How often to look for topics and partitions that came or went, and for the lag. */
  topicCheckMs: number
}

export type MemberParts = {
  kafka: Kafka
  admin: Admin
  consumer: RecordConsumer
  metrics: KafkaMetrics | undefined
  logger: Logger
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
  readonly #parts: MemberParts
  readonly #kafka: Consumer
  readonly #positions = new Positions()
  /** Counts joins. What was uncommitted before a join comes again after it, here or elsewhere. */
  #generation = 0
  #assigned = new Map<string, readonly number[]>()
  #committed = new Map<string, number>()
  #latest: EachBatchPayload | undefined
  readonly #inFlight = new Set<{ done: Promise<void>; giveUp: AbortController }>()
  #isLeaving = false
  #heardAt = Date.now()
  #fetchedAt: number | undefined
  #commitTimer: NodeJS.Timeout | undefined

  constructor(options: MemberOptions, topics: Topics, starts: Offsets, parts: MemberParts) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.failed = promise
    this.#fail = reject
    this.#options = options
    this.#heartbeatMs = Math.min(maxHeartbeatMs, Math.floor(options.sessionTimeoutMs / 3))
    this.#topics = topics
    this.#starts = starts
    this.#parts = parts
    this.#kafka = parts.kafka.consumer({
      groupId: options.group,
      sessionTimeout: options.sessionTimeoutMs,
      heartbeatInterval: this.#heartbeatMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      maxWaitTimeInMs: 250,
      minBytes: 1,
      maxBytesPerPartition: 512 * 1024,
      metadataMaxAge: Math.min(maxMetadataAgeMs, options.topicCheckMs),
      allowAutoTopicCreation: false,
      retry,
    })
    const { GROUP_JOIN, REBALANCING, HEARTBEAT, FETCH, END_BATCH_PROCESS, CRASH } = this.#kafka.events
    this.#kafka.on(GROUP_JOIN, ({ payload }) => this.#onJoin(payload.memberAssignment))
    this.#kafka.on(REBALANCING, () => this.#commit())
    this.#kafka.on(HEARTBEAT, () => {
      this.#heardAt = Date.now()
    })
    this.#kafka.on(FETCH, () => {
      this.#fetchedAt = Date.now()
    })
    // Also of batches that hold nothing but the marks of transactions, which nobody else hears of.
    this.#kafka.on(END_BATCH_PROCESS, ({ payload: { topic, partition, lastOffset } }) =>
      this.#positions.stand(keyOf(topic, partition), Number(lastOffset) + 1),
    )
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

  /** For longer than any rebalance takes nobody has answered it. */
  get isForsaken(): boolean {
    const silentMs = Date.now() - this.#heardAt
    return this.#generation > 0 && silentMs > this.#options.sessionTimeoutMs + rebalanceTimeoutMs
  }

  figures(): MemberFigures {
    const lag = this.lag.each().map(({ partition: place, lagRecords }) => ({ ...placeOf(place), lagRecords }))
    const fetchAgeMs = this.#fetchedAt === undefined ? undefined : Date.now() - this.#fetchedAt
    return { group: this.#options.group, lag, fetchAgeMs }
  }

  async join(): Promise<void> {
    await this.#kafka.connect()
    await this.#kafka.subscribe({ topics: [...this.#topics.keys()], fromBeginning: true })
    await withWholeBatches(() =>
      this.#kafka.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: this.#parts.consumer.atOnce ?? 1,
        eachBatch: (payload) => this.#takeBatch(payload),
      }),
    )
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

  /** Looks where our partitions begin and end. */
  async look(): Promise<void> {
    const { admin } = this.#parts
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
        const place = keyOf(topic, partition)
        this.lag.look(place, Math.max(Number(low), Number(known)), Number(high), Date.now())
        this.#tellLost(topic, partition, this.#positions.look(place, Number(low), Number(high)))
      }
    }
    this.lag.know()
  }

  /** kafkajs does not wait for this: all of it has to happen at once. */
  #onJoin(assignment: Record<string, number[]>): void {
    const { metrics, consumer } = this.#parts
    if (this.#generation > 0) metrics?.rebalances.inc({ group: this.#options.group })
    this.#generation += 1
    this.#heardAt = Date.now()
    this.#assigned = new Map(Object.entries(assignment))
    this.lag.forget()
    this.#committed.clear()
    this.#positions.forget()
    for (const { giveUp } of this.#inFlight) giveUp.abort()
    // Not when the next batch comes: until then a consumer might store what is another member's by now.
    consumer.rewind?.()
    const starts = this.#ownStarts()
    for (const { topic, partition, offset } of starts) this.#kafka.seek({ topic, partition, offset })
    void this.#place(starts)
  }

  /**
   * Learns where the group stands; whoever does not answer in time leaves it unknown. Nothing is fetched before: where the place is
   * gone, kafkajs commits another at once.
   */
  async #place(starts: readonly { topic: string; partition: number; offset: string }[]): Promise<void> {
    const generation = this.#generation
    const topics = [...this.#assigned.keys()]
    if (topics.length === 0) return
    const all = topics.map((topic) => ({ topic }))
    this.#kafka.pause(all)
    const asked = this.#parts.admin.fetchOffsets({ groupId: this.#options.group, topics }).catch(() => [])
    const withinMs = Math.min(askWithinMs, this.#options.sessionTimeoutMs / 2)
    const committed = await Promise.race([asked, delay(withinMs, [], { ref: false })])
    if (generation !== this.#generation || this.#isLeaving) return
    const places = committed.flatMap(({ topic, partitions }) => partitions.map((place) => ({ topic, ...place })))
    for (const { topic, partition, offset } of [...places, ...starts])
      if (Number(offset) >= 0) this.#positions.stand(keyOf(topic, partition), Number(offset))
    this.#kafka.resume(all)
  }

  #tellLost(topic: string, partition: number, missing: number): void {
    const { logger, metrics } = this.#parts
    const { group } = this.#options
    if (missing < 0)
      logger.warn({ topic, partition, group }, `topic ${topic} was made anew: it is read from its beginning`)
    if (missing <= 0) return
    metrics?.lost.inc({ group, topic }, missing)
    logger.error(
      { topic, partition, group, lostRecords: missing },
      `the retention of topic ${topic} deleted ${missing} records of partition ${partition} before they were read: raise its retention, or run more instances`,
    )
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
    const generation = this.#generation
    const place = keyOf(batch.topic, batch.partition)
    this.#latest = payload
    const from = fetchedFrom(batch)
    this.#tellLost(batch.topic, batch.partition, this.#positions.take(place, from))
    const records = recordsOf(batch, profile, from)
    const [first, newest] = [records[0], records.at(-1)]
    if (first && newest) {
      this.lag.take(place, first.offset, Number(batch.highWatermark), first.timestamp, Date.now())
      const isAccepted = await this.#handOver(records, payload)
      // After a rejoin the partition may be another member's; and kafkajs reads it from its last commit again.
      if (!isAccepted || generation !== this.#generation) return
      this.lag.handle(place, Number(last.offset) + 1, newest.timestamp, Date.now())
    }
    payload.resolveOffset(last.offset)
    this.#positions.stand(place, Number(batch.lastOffset()) + 1)
    await payload.heartbeat()
  }

  /** False: given up, because we leave or rejoined. @throws what the consumer or the heartbeat threw: kafkajs knows what to do */
  async #handOver(records: readonly RawRecord[], payload: EachBatchPayload): Promise<boolean> {
    const giveUp = new AbortController()
    const { promise: failedBeat, reject: onFailedBeat } = Promise.withResolvers<never>()
    failedBeat.catch(() => giveUp.abort())
    let beats = 0
    const beating = setInterval(() => {
      if (beats++ === 0) this.#parts.metrics?.pauses.inc({ group: this.#options.group })
      payload.heartbeat().catch(onFailedBeat)
    }, this.#heartbeatMs)
    const done = this.#parts.consumer.accept(records, giveUp.signal)
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
      this.#parts.logger.debug({ err: error }, 'could not commit')
      return
    }
    if (generation !== this.#generation) return
    for (const { topic, partition, offset } of safe ?? []) this.#committed.set(keyOf(topic, partition), offset)
  }

  /** Undefined: the consumer does not say, so what it accepted is safe. */
  #newlySafe(): Position[] | undefined {
    if (!this.#parts.consumer.safePositions) return undefined
    return [...this.#parts.consumer.safePositions()].filter(
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
const placeOf = (key: string) => {
  const [topic = '', partition] = key.split('\t')
  return { topic, partition: Number(partition) }
}

/** What was asked for; kafkajs keeps it, its types do not. It is not the offset of the first record where compaction left holes. */
const fetchedFrom = (batch: EachBatchPayload['batch'] & { fetchedOffset?: string }): number =>
  Number(batch.fetchedOffset ?? batch.firstOffset())
