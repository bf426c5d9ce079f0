import type { Logger } from '@flasktoria/service-kit/logger'
import kafkajs from 'kafkajs'
import { connectTo, type KafkaAccess } from './kafka-client.ts'
import type { RecordConsumer } from './record-source.ts'

const { Partitioners } = kafkajs

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
