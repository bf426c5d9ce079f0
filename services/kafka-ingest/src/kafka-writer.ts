import { ConfigError } from '@flasktoria/service-kit/config'
import type { Logger } from '@flasktoria/service-kit/logger'
import kafkajs, { type Message, type Producer } from 'kafkajs'
import { BatchBuilder, sendBatchesWhole, type WholeBatch } from './kafka-batch-builder.ts'
import { connectTo, type KafkaAccess } from './kafka-client.ts'
import type { SimulatorTarget } from './simulate-run.ts'
import type { Addresses } from './simulate-targets.ts'
import type { RecordBatch } from './simulator-batch.ts'

const { Partitioners } = kafkajs
/** A broker takes 1 MB by default. */
const maxBatchBytes = 512 * 1_024

sendBatchesWhole()

/** Writes a fleet's records into Kafka; each batch is safe on all replicas before the next one goes. */
export function createKafkaWriter(access: KafkaAccess, addresses: Addresses, logger: Logger): SimulatorTarget {
  const kafka = connectTo(access, logger)
  const producer = kafka.producer({
    createPartitioner:
      () =>
      ({ message: { partition } }) =>
        partition!,
    allowAutoTopicCreation: false,
  })
  const connect = async (): Promise<Sorter> => {
    const admin = kafka.admin()
    await admin.connect()
    const partitions = await partitionsOf(addresses, admin).finally(() => admin.disconnect())
    await producer.connect()
    return new Sorter(addresses, partitions)
  }
  let connected: Promise<Sorter> | undefined
  return {
    write: async (batch) => {
      if (batch.count === 0) return
      const sorter = await (connected ??= connect())
      for (const topicMessages of sorter.inBatches(batch))
        // oxlint-disable-next-line no-await-in-loop -- a vehicle's records stay in order
        await producer.sendBatch({ topicMessages })
    },
    close: () => producer.disconnect(),
  }
}

type Admin = ReturnType<InstanceType<typeof kafkajs.Kafka>['admin']>
type TopicMessages = NonNullable<Parameters<Producer['sendBatch']>[0]['topicMessages']>

/** How many partitions the topic of each stream has. */
async function partitionsOf({ topics }: Addresses, admin: Admin): Promise<number[]> {
  const wanted = topics.filter((topic) => topic !== undefined)
  const existing = await admin.listTopics()
  const missing = wanted.filter((topic) => !existing.includes(topic))
  if (missing.length > 0)
    throw new ConfigError(`Kafka has no topic ${missing.join(', ')}: make it, or name another one`)
  const metadata = await admin.fetchTopicMetadata({ topics: wanted })
  const counts = new Map(metadata.topics.map(({ name, partitions }) => [name, partitions.length]))
  return topics.map((topic) => (topic === undefined ? 0 : counts.get(topic)!))
}

/** Puts records into batches, one a partition: where Java's default puts them, or in turn where they have no key. */
class Sorter {
  readonly #topics: Addresses['topics']
  readonly #keys: readonly Buffer[] | undefined
  readonly #partitions: readonly number[]
  /** By stream, then by vehicle: to hash a key takes longer than all the rest, and a fleet has the same keys all the time. */
  readonly #partitionOf: readonly (readonly number[])[]
  #turn = 0

  constructor({ topics, keys }: Addresses, partitions: readonly number[]) {
    this.#topics = topics
    this.#keys = keys?.map((key) => Buffer.from(key))
    this.#partitions = partitions
    this.#partitionOf = partitions.map((count) => this.#keys?.map((key) => partitionOf(key, count)) ?? [])
  }

  /** What is to be sent, one after the other: a partition gets one batch at a time. */
  inBatches(records: RecordBatch): TopicMessages[] {
    const builders = this.#partitions.map((count) => Array.from({ length: count }, () => [] as BatchBuilder[]))
    for (let record = 0; record < records.count; record++) {
      const [stream, vehicle] = [records.stream(record), records.vehicle(record)]
      const ofPartition = builders[stream]![this.#partition(stream, vehicle)]!
      let builder = ofPartition.at(-1)
      if (!builder || builder.length > maxBatchBytes) ofPartition.push((builder = new BatchBuilder()))
      builder.add(this.#keys?.[vehicle] ?? null, records.value(record), records.time(record))
    }
    const rounds = builders.flat().reduce((most, { length }) => Math.max(most, length), 0)
    return Array.from({ length: rounds }, (_, round) => this.#round(builders, round))
  }

  #round(builders: readonly BatchBuilder[][][], round: number): TopicMessages {
    const topicMessages = builders.map((ofStream, stream) => {
      const messages = ofStream.flatMap((ofPartition, partition) => {
        const builder = ofPartition[round]
        return builder ? [messageOf(builder.finish(), partition)] : []
      })
      return { topic: this.#topics[stream] ?? '', messages }
    })
    return topicMessages.filter(({ messages }) => messages.length > 0)
  }

  #partition(stream: number, vehicle: number): number {
    return this.#partitionOf[stream]![vehicle] ?? this.#turn++ % this.#partitions[stream]!
  }
}

const messageOf = (batch: WholeBatch, partition: number): Message => ({ partition, value: batch as unknown as Buffer })

const choose = Partitioners.DefaultPartitioner()
const partitionOf = (key: Buffer, count: number): number =>
  count === 0
    ? 0
    : choose({
        topic: '',
        message: { key, value: null },
        partitionMetadata: Array.from({ length: count }, (_, partitionId) => ({
          partitionId,
          partitionErrorCode: 0,
          leader: 0,
          replicas: [],
          isr: [],
        })),
      })
