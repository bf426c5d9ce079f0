import { kafkaAccess, type Config } from '@flasktoria/kafka-ingest/config'
import type { openRedisDeadLetters, StoredLetter } from '@flasktoria/kafka-ingest/dead-letters-redis'
import { openReplay } from '@flasktoria/kafka-ingest/kafka-dead-letters'
import { createLogger } from '@flasktoria/service-kit/logger'
import { tally, whyNotReplayed, type Wish } from './letters.ts'

const batchLetters = 100

type Shelf = Awaited<ReturnType<typeof openRedisDeadLetters>>

/**
 * Sends letters back to where they came from, oldest first. One is taken out when the brokers have it: an end in between sends
 * it again another time, and loses nothing. Returns how many stayed.
 */
export async function replay(
  stored: readonly StoredLetter[],
  shelf: Shelf,
  config: Config & { SOURCE: 'kafka' },
  wish: Wish,
): Promise<number> {
  const kept = stored.flatMap(({ letter }) => whyNotReplayed(letter, wish) ?? [])
  for (const [why, times] of tally(kept)) console.log(`${times} stay: ${why}`)
  const ready = stored.filter(({ letter }) => whyNotReplayed(letter, wish) === undefined).toReversed()
  if (ready.length === 0) {
    console.log('there is nothing to send')
    return kept.length
  }
  await using producer = await openReplay(kafkaAccess(config), createLogger('dead-letters', 'error'))
  let failed = 0
  for (const [topic, ofTopic] of Map.groupBy(ready, ({ letter }) => letter.topic)) {
    let sent = 0
    for (let from = 0; from < ofTopic.length; from += batchLetters) {
      const batch = ofTopic.slice(from, from + batchLetters)
      // oxlint-disable-next-line no-await-in-loop -- in order, and none too many at once
      sent += await sendBatch(topic, batch)
    }
    failed += ofTopic.length - sent
    console.log(`${sent} of ${ofTopic.length} sent to ${topic}`)
  }
  return kept.length + failed

  async function sendBatch(topic: string, batch: readonly StoredLetter[]): Promise<number> {
    try {
      const taken = new Set(
        await producer.send(
          topic,
          batch.map(({ letter }) => letter),
        ),
      )
      const gone = batch.filter(({ letter }) => taken.has(letter))
      await Promise.all(gone.map((one) => shelf.remove(one)))
      if (gone.length < batch.length)
        console.log(`${topic} no longer has the partition of ${batch.length - gone.length}`)
      return gone.length
    } catch (error) {
      console.log(`${topic}: ${error instanceof Error ? error.message : String(error)}`)
      return 0
    }
  }
}
