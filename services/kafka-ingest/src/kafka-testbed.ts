import { createLogger, type Logger } from '@flasktoria/service-kit/logger'
import { Kafka, Partitioners, logLevel, type Message } from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import type { KafkaMetrics } from './kafka-metrics.ts'
import type { RawRecord, RecordConsumer } from './record-source.ts'
import { createKafkaSource, type KafkaSourceOptions } from './source-kafka.ts'
import type { TopicProfile } from './topic-profile.ts'
import { parseTopics, type TopicRule } from './topics.ts'

export const rule = (profile: TopicProfile, text: string): TopicRule => ({ profile, ...parseTopics(text) })

export const numbered = (from: number, to: number): Message[] =>
  Array.from({ length: to - from }, (_, i) => ({ value: String(from + i) }))
export const numbersOf = (records: readonly RawRecord[]) =>
  records.map(({ value }) => Number(value?.toString())).toSorted((a, b) => a - b)
/** A rejoin may bring again what was not committed yet. */
export const idsOf = (records: readonly RawRecord[]) =>
  new Set(records.map(({ partition, offset }) => `${partition}:${offset}`))
export const upTo = (end: number) => Array.from({ length: end }, (_, i) => i)

/** Collects what a source hands over. */
export function collector() {
  const records: RawRecord[] = []
  const consumer: RecordConsumer = {
    accept: (batch) => {
      records.push(...batch)
      return Promise.resolve()
    },
  }
  return { records, consumer }
}

/** What was logged, the sentence and all that belongs to it, in one text. */
export function listeningLogger() {
  const lines: string[] = []
  const take = (fields: unknown, message?: string) => void lines.push(`${message ?? ''} ${JSON.stringify(fields)}`)
  const logger = Object.assign(createLogger('test', 'silent'), { warn: take, error: take }) as Logger
  return { lines, logger }
}

type ConsumeOptions = Partial<KafkaSourceOptions> & Pick<KafkaSourceOptions, 'topics'>

/** Topics, records and sources on one cluster; all of it is gone when it is disposed of. */
export async function openTestbed(brokers: string[]) {
  const kafka = new Kafka({ clientId: 'test', brokers, logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  const run = Math.random().toString(36).slice(2, 8)
  const running = new Set<() => Promise<void>>()
  let count = 0
  await admin.connect()
  await producer.connect()

  const fresh = (name: string) => `${name}-${run}-${++count}`

  /** Only then does every partition take records; a batch that one of them refuses would be sent twice to the others. */
  const untilLed = async (topic: string) => {
    for (let triesLeft = 200; ; triesLeft--)
      try {
        await admin.fetchTopicOffsets(topic)
        return topic
      } catch (error) {
        if (triesLeft === 0) throw error
        await delay(100)
      }
  }

  return {
    admin,
    producer,
    fresh,
    untilLed,
    /** What must not be stopped after the test, because it ended by itself, is taken out. */
    running,
    createTopic: async (topic: string, numPartitions = 1, config: Record<string, string> = {}) => {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
      await admin.createTopics({
        topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }],
        waitForLeaders: false,
      })
      return untilLed(topic)
    },
    consume: (
      consumer: RecordConsumer,
      options: ConsumeOptions,
      { logger = createLogger('test', 'silent'), metrics }: { logger?: Logger; metrics?: KafkaMetrics } = {},
    ) => {
      const defaults = { brokers, start: 'earliest', topicCheckMs: 200, sessionTimeoutMs: 10_000 } as const
      const source = createKafkaSource({ ...defaults, group: fresh('group'), ...options }, logger, metrics)
      const stopping = new AbortController()
      const ended = source.run(consumer, stopping.signal)
      const stop = async () => {
        running.delete(stop)
        stopping.abort()
        await ended
      }
      running.add(stop)
      return { source, stop, ended }
    },
    /** By a producer that knows of what is new; kafkajs drops records for partitions that it does not know. */
    sendAnew: async (topic: string, messages: Message[]) => {
      const another = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
      await another.connect()
      await another.send({ topic, messages })
      await another.disconnect()
    },
    inTransactions: async (topic: string, transactions: readonly { messages: Message[]; isCommitted: boolean }[]) => {
      const transactional = kafka.producer({
        createPartitioner: Partitioners.DefaultPartitioner,
        transactionalId: fresh('transactional'),
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await transactional.connect()
      for (const { messages, isCommitted } of transactions) {
        const transaction = await transactional.transaction()
        if (messages.length > 0) await transaction.send({ topic, messages })
        await (isCommitted ? transaction.commit() : transaction.abort())
      }
      await transactional.disconnect()
    },
    committedRecords: async (group: string, topic: string) => {
      const [committed] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
      return committed!.partitions.reduce((total, { offset }) => total + Math.max(0, Number(offset)), 0)
    },
    stopAll: async () => void (await Promise.all([...running].map((stop) => stop()))),
    async close() {
      const ours = (await admin.listTopics()).filter((topic) => topic.includes(run))
      if (ours.length > 0) await admin.deleteTopics({ topics: ours })
      await producer.disconnect()
      await admin.disconnect()
    },
  }
}
export type Testbed = Awaited<ReturnType<typeof openTestbed>>
