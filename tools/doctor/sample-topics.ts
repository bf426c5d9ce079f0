import type { Admin, Kafka } from 'kafkajs'

export type SampledRecord = {
  partition: number
  offset: number
  value: Buffer | null
  /** When the producer or the broker stamped it, epoch ms. */
  timestamp: number
}
export type Samples = Map<string, { records: SampledRecord[]; isEmpty: boolean }>

const perPartition = 20
const maxPartitions = 32
const placeOf = (topic: string, partition: number) => `${topic}\t${partition}`

/**
 * The newest records of each topic, from the end of its partitions: what is produced now is what will be read. In a group of
 * its own, which commits nothing and is deleted again, so that the group of the services is not disturbed.
 */
export async function sampleTopics(
  kafka: Kafka,
  admin: Admin,
  groupId: string,
  topics: readonly string[],
  signal: AbortSignal,
): Promise<Samples> {
  const samples: Samples = new Map()
  const starts: { topic: string; partition: number; offset: string }[] = []
  const lastOffsets = new Map<string, number>()
  for (const topic of topics) {
    const filled = (await admin.fetchTopicOffsets(topic)).filter(({ high, low }) => Number(high) > Number(low))
    samples.set(topic, { records: [], isEmpty: filled.length === 0 })
    for (const { partition, high, low } of filled.slice(0, maxPartitions)) {
      const offset = Math.max(Number(low), Number(high) - perPartition)
      starts.push({ topic, partition, offset: String(offset) })
      lastOffsets.set(placeOf(topic, partition), Number(high) - 1)
    }
  }
  if (starts.length === 0) return samples
  const consumer = kafka.consumer({
    groupId,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: 250,
    maxBytesPerPartition: 65_536,
  })
  const { promise: isDone, resolve, reject } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve())
  consumer.on(consumer.events.CRASH, ({ payload: { error } }) => reject(error))
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [...samples.keys()].filter((topic) => !samples.get(topic)!.isEmpty) })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch: { topic, partition, messages } }) => {
        const last = lastOffsets.get(placeOf(topic, partition))
        const sample = samples.get(topic)
        if (last === undefined || !sample) return
        for (const { offset, value, timestamp } of messages.slice(-perPartition))
          sample.records.push({ partition, offset: Number(offset), value, timestamp: Number(timestamp) })
        if (Number(messages.at(-1)?.offset) >= last) lastOffsets.delete(placeOf(topic, partition))
        if (lastOffsets.size === 0) resolve()
      },
    })
    for (const start of starts) consumer.seek(start)
    await isDone
  } finally {
    await consumer.disconnect().catch(() => {})
    await admin.deleteGroups([groupId]).catch(() => {})
  }
  return samples
}
