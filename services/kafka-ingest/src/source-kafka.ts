import type { Logger } from '@flasktoria/service-kit/logger'
import type { Admin, Kafka } from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import { connectTo, isFatal, type KafkaAccess } from './kafka-client.ts'
import { kafkaHint } from './kafka-hints.ts'
import { Membership, type MemberOptions } from './kafka-membership.ts'
import { presentEnds, type Offsets } from './kafka-offsets.ts'
import { areSame, TopicWatch, type Topics } from './kafka-topics.ts'
import type { RecordConsumer, RecordSource, SourceState } from './record-source.ts'
import type { TopicRule } from './topics.ts'
import { unlessAborted } from './unless-aborted.ts'

export type KafkaSourceOptions = KafkaAccess &
  MemberOptions & {
    /** Where a topic begins for a group that never committed a position in it. */
    start: 'latest' | 'earliest'
    topics: readonly TopicRule[]
    /** How often to look for topics that came or went, and for the lag. */
    topicCheckMs: number
  }

const minBackoffMs = 100
const maxBackoffMs = 5_000
const closeWithinMs = 5_000

/** All partitions of all topics that the configuration chooses, as a member of a consumer group. */
export const createKafkaSource = (options: KafkaSourceOptions, logger: Logger): RecordSource =>
  new KafkaSource(options, logger)

class KafkaSource implements RecordSource {
  readonly #options: KafkaSourceOptions
  readonly #logger: Logger
  readonly #kafka: Kafka
  readonly #admin: Admin
  readonly #watch: TopicWatch
  #membership: Membership | undefined
  #problem: string | undefined = 'not connected to Kafka yet'

  constructor(options: KafkaSourceOptions, logger: Logger) {
    this.#options = options
    this.#logger = logger
    this.#kafka = connectTo(options, logger)
    this.#admin = this.#kafka.admin()
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
          await this.#consume(topics, starts, consumer, signal)
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
    const membership = new Membership(this.#kafka, this.#options, topics, starts, consumer, this.#logger)
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
      if (!areSame(await unlessAborted(this.#watch.look(), signal), topics)) return false
      await unlessAborted(membership.look(this.#admin), signal)
    } catch (error) {
      signal.throwIfAborted()
      this.#logger.debug({ err: error }, 'could not look at the topics')
    }
    return true
  }

  async #startOffsets(): Promise<Offsets> {
    const topics = [...(await this.#watch.look()).keys()]
    return this.#options.start === 'earliest' ? new Map() : presentEnds(this.#admin, this.#options.group, topics)
  }
}

/** A broker that is away must not keep us from stopping. */
const withinClosingTime = async (closing: Promise<void>): Promise<void> => {
  await Promise.race([closing.catch(() => {}), delay(closeWithinMs, undefined, { ref: false })])
}
