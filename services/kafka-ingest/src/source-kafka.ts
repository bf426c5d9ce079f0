import type { Logger } from '@flasktoria/service-kit/logger'
import type { Admin, Kafka } from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import { connectTo, isFatal, KafkaRefusal, retry, type KafkaAccess } from './kafka-client.ts'
import { kafkaHint } from './kafka-hints.ts'
import { Membership, type MemberOptions } from './kafka-membership.ts'
import type { KafkaMetrics } from './kafka-metrics.ts'
import { presentEnds, recentOffsets, type Offsets } from './kafka-offsets.ts'
import { areSame, TopicWatch, type Topics } from './kafka-topics.ts'
import type { RecordConsumer, RecordSource, SourceState } from './record-source.ts'
import type { TopicRule } from './topics.ts'
import { unlessAborted } from './unless-aborted.ts'

export type KafkaSourceOptions = KafkaAccess &
  MemberOptions & {
    /** Where a topic begins for a group that never committed a position in it. */
    start: 'latest' | 'earliest'
    topics: readonly TopicRule[]
    /** Sensor records that waited for longer when this starts are passed over; absent: none are. */
    maxBacklogMs?: number
  }

const minBackoffMs = 100
const maxBackoffMs = 5_000
const closeWithinMs = 5_000
/**
 * When the coordinator of the group answers whoever looks, but not our member, it is another by now: kafkajs asks the dead one
 * for minutes. The first such look may only have been quicker than the member, after all of Kafka was away.
 */
const maxForsakenLooks = 2
/** Who only asks is told soon that nobody answers, and why; the member itself is patient. */
const asking = { ...retry, retries: 4 }

/** All partitions of all topics that the configuration chooses, as a member of a consumer group. */
export const createKafkaSource = (options: KafkaSourceOptions, logger: Logger, metrics?: KafkaMetrics): RecordSource =>
  new KafkaSource(options, logger, metrics)

class KafkaSource implements RecordSource {
  readonly #options: KafkaSourceOptions
  readonly #logger: Logger
  readonly #metrics: KafkaMetrics | undefined
  readonly #kafka: Kafka
  readonly #admin: Admin
  readonly #watch: TopicWatch
  #membership: Membership | undefined
  #topics: Topics = new Map()
  /** Whether the group's coordinator answered the last look. */
  #isAnswered = false
  #problem: string | undefined = 'not connected to Kafka yet'

  constructor(options: KafkaSourceOptions, logger: Logger, metrics: KafkaMetrics | undefined) {
    this.#options = options
    this.#logger = logger
    this.#metrics = metrics
    this.#kafka = connectTo(options, logger)
    this.#admin = connectTo(options, logger, asking).admin()
    this.#watch = new TopicWatch(options.topics, this.#admin, logger)
  }

  state(): SourceState {
    const failing = this.#membership?.failing()
    const lag = failing === undefined ? this.#membership?.lag.read(Date.now()) : undefined
    const problem = this.#problem ?? this.#watch.problem() ?? failing
    return { failing: problem, ...(lag ?? { lagRecords: null, lagMs: null }) }
  }

  async run(consumer: RecordConsumer, signal: AbortSignal): Promise<void> {
    let starts: Offsets | undefined
    let backoffMs = minBackoffMs
    try {
      while (!signal.aborted) {
        try {
          await unlessAborted(this.#admin.connect(), signal)
          starts ??= await unlessAborted(this.#startOffsets(), signal)
          this.#problem = undefined
          const topics = await this.#watch.untilSome(this.#options.topicCheckMs, signal)
          this.#topics = topics
          await this.#consume(starts, consumer, signal)
          backoffMs = minBackoffMs
        } catch (error) {
          if (signal.aborted) break
          this.#blame(error)
          await delay(backoffMs, undefined, { signal }).catch(() => {})
          backoffMs = Math.min(backoffMs * 2, maxBackoffMs)
        }
      }
    } finally {
      this.#problem = 'stopped'
      await withinClosingTime(this.#admin.disconnect())
    }
  }

  /** @throws what will not pass */
  #blame(error: unknown): void {
    const asked = { group: this.#options.group, topics: [...this.#topics.keys()] }
    const hint = kafkaHint(error, asked)
    if (isFatal(error)) {
      this.#logger.error({ err: error, hint }, 'Kafka refuses us for good')
      throw hint === undefined ? error : new KafkaRefusal(hint, { cause: error })
    }
    const problem = `Kafka does not answer: ${hint ?? messageOf(error)}`
    if (problem !== this.#problem)
      this.#logger.warn({ err: error, hint }, 'Kafka does not answer; trying again and again')
    this.#problem = problem
  }

  /** Consumes until the set of topics changes, or the group has forgotten us. */
  async #consume(starts: Offsets, consumer: RecordConsumer, signal: AbortSignal): Promise<void> {
    const parts = { kafka: this.#kafka, admin: this.#admin, consumer, metrics: this.#metrics, logger: this.#logger }
    const membership = new Membership(this.#options, this.#topics, starts, parts)
    this.#membership = membership
    const unfollow = this.#metrics?.follow(() => membership.figures())
    try {
      await Promise.race([unlessAborted(membership.join(), signal), membership.failed])
      this.#logger.info({ topics: [...this.#topics.keys()], group: this.#options.group }, 'consuming')
      for (let forsakenLooks = 0; forsakenLooks < maxForsakenLooks;) {
        if (!(await Promise.race([this.#isUnchanged(membership, signal), membership.failed]))) break
        forsakenLooks = membership.isForsaken && this.#isAnswered ? forsakenLooks + 1 : 0
        await Promise.race([delay(this.#options.topicCheckMs, undefined, { signal }), membership.failed])
      }
    } finally {
      unfollow?.()
      await withinClosingTime(membership.leave())
    }
  }

  /** Looks at the topics and the lag. A broker that does not answer changes nothing: what we hold, we keep. */
  async #isUnchanged(membership: Membership, signal: AbortSignal): Promise<boolean> {
    this.#isAnswered = false
    try {
      if (!areSame(await unlessAborted(this.#watch.look(), signal), this.#topics)) return false
      await unlessAborted(membership.look(), signal)
      this.#isAnswered = true
    } catch (error) {
      signal.throwIfAborted()
      this.#logger.debug({ err: error }, 'could not look at the topics')
    }
    return true
  }

  async #startOffsets(): Promise<Offsets> {
    const topics = await this.#watch.look()
    const { group, start } = this.#options
    const recent = await this.#recentOffsets(topics)
    const ends = start === 'earliest' ? new Map() : await presentEnds(this.#admin, group, [...topics.keys()])
    return new Map([...recent, ...ends])
  }

  /** Where a picture of now begins: nobody waits for where vehicles were before. An anomaly is news whenever it comes. */
  async #recentOffsets(topics: Topics): Promise<Offsets> {
    const { group, maxBacklogMs } = this.#options
    if (maxBacklogMs === undefined) return new Map()
    const ofSensors = [...topics].flatMap(([topic, { kind }]) => (kind === 'sensor' ? [topic] : []))
    const { offsets, left } = await recentOffsets(this.#admin, group, ofSensors, Date.now() - maxBacklogMs)
    if (left === 0) return offsets
    this.#metrics?.skipped.inc({ group }, left)
    this.#logger.warn(
      { group, leftRecords: left, maxBacklogMs },
      'sensor records that waited for long are left to the history',
    )
    return offsets
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A broker that is away must not keep us from stopping. */
const withinClosingTime = async (closing: Promise<void>): Promise<void> => {
  await Promise.race([closing.catch(() => {}), delay(closeWithinMs, undefined, { ref: false })])
}
