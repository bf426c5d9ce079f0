import { ConfigError } from '@flasktoria/service-kit/config'
import type { Logger } from '@flasktoria/service-kit/logger'
import kafkajs, { type ICustomPartitioner, type Message, type Producer } from 'kafkajs'
import { connectTo, type KafkaAccess } from './kafka-client.ts'
import type { SimulatorTarget } from './simulate-run.ts'
import type { Addresses } from './simulate-targets.ts'
import type { RecordBatch } from './simulator-batch.ts'

const { Partitioners } = kafkajs

/** Writes a fleet's records into Kafka; each batch is safe on all replicas before the next one goes. */
export function createKafkaWriter(access: KafkaAccess, addresses: Addresses, logger: Logger): SimulatorTarget {
  const kafka = connectTo(access, logger)
  const producer = kafka.producer({
    createPartitioner: createRememberingPartitioner,
    allowAutoTopicCreation: false,
  })
  const connect = async (): Promise<Producer> => {
    const admin = kafka.admin()
    await admin.connect()
    const existing = await admin.listTopics().finally(() => admin.disconnect())
    const missing = addresses.topics.filter((topic) => topic !== undefined && !existing.includes(topic))
    if (missing.length > 0)
      throw new ConfigError(`Kafka has no topic ${missing.join(', ')}: make it, or name another one`)
    await producer.connect()
    return producer
  }
  let connected: Promise<Producer> | undefined
  return {
    write: async (batch) => {
      if (batch.count === 0) return
      const topicMessages = messagesOf(batch, addresses)
      await (await (connected ??= connect())).sendBatch({ topicMessages })
    },
    close: () => producer.disconnect(),
  }
}

/**
 * Where Java's default puts a record. A fleet has the same keys all the time, and to hash one takes longer than all the rest.
 */
const createRememberingPartitioner: ICustomPartitioner = () => {
  const choose = Partitioners.DefaultPartitioner()
  const topics = new Map<string, { count: number; ofKeys: Map<unknown, number> }>()
  return (record) => {
    const { topic, partitionMetadata, message } = record
    if (message.key === null) return choose(record)
    let known = topics.get(topic)
    if (known?.count !== partitionMetadata.length) {
      known = { count: partitionMetadata.length, ofKeys: new Map() }
      topics.set(topic, known)
    }
    let partition = known.ofKeys.get(message.key)
    if (partition === undefined) {
      partition = choose(record)
      known.ofKeys.set(message.key, partition)
    }
    return partition
  }
}

function messagesOf(batch: RecordBatch, { topics, keys }: Addresses): { topic: string; messages: Message[] }[] {
  const byStream = topics.map((topic = '') => ({ topic, messages: [] as Message[] }))
  for (let record = 0; record < batch.count; record++)
    byStream[batch.stream(record)]!.messages.push({
      key: keys?.[batch.vehicle(record)] ?? null,
      value: batch.value(record),
      timestamp: String(batch.time(record)),
    })
  return byStream.filter(({ messages }) => messages.length > 0)
}
