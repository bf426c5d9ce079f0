import type { Admin } from 'kafkajs'

/** Where partitions begin, by topic and partition. */
export type Offsets = Map<string, Map<number, string>>

/**
 * The present end of each topic in which this group never committed: where `latest` begins. To be committed as soon as we are a
 * member, so that "latest" happens once: whatever comes later, also while nobody runs, is read. Everything else, such as a
 * partition or a topic that appears later, begins at its beginning. kafkajs' own `fromBeginning: false` would lose it.
 */
export async function presentEnds(admin: Admin, groupId: string, topics: string[]): Promise<Offsets> {
  const ends: Offsets = new Map()
  if (topics.length === 0) return ends
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics })) {
    if (partitions.some(({ offset }) => offset !== '-1')) continue
    // oxlint-disable-next-line no-await-in-loop -- once, at the start
    const offsets = await admin.fetchTopicOffsets(topic)
    ends.set(topic, new Map(offsets.map(({ partition, high }) => [partition, high])))
  }
  return ends
}

/**
 * Of the partitions in which this group stands before `sinceTs`: the first record since then. `left`: how many records lie
 * between. Brokers know the time of a record by its producer, or by themselves, as the topic says.
 */
export async function recentOffsets(
  admin: Admin,
  groupId: string,
  topics: string[],
  sinceTs: number,
): Promise<{ offsets: Offsets; left: number }> {
  const offsets: Offsets = new Map()
  let left = 0
  if (topics.length === 0) return { offsets, left }
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics })) {
    // oxlint-disable-next-line no-await-in-loop -- once, at the start
    const recent = await admin.fetchTopicOffsetsByTimestamp(topic, sinceTs)
    const ofTopic = new Map<number, string>()
    for (const { partition, offset } of recent) {
      const committed = Number(partitions.find((other) => other.partition === partition)?.offset ?? -1)
      if (committed < 0 || Number(offset) <= committed) continue
      ofTopic.set(partition, offset)
      left += Number(offset) - committed
    }
    if (ofTopic.size > 0) offsets.set(topic, ofTopic)
  }
  return { offsets, left }
}
