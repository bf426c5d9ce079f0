import type { Logger } from '@flasktoria/service-kit/logger'
import type { RawRecord, RecordConsumer, RecordSource } from './record-source.ts'
import type { FetchedSchemas, TopicProfile } from './topic-profile.ts'

/**
 * A source whose records wait until their writers' schemas are there, so that whoever reads them never has to. While a
 * registry is away its topics stand still, like those of a log that is away; the source stays a member of its group.
 */
export function withSchemas(source: RecordSource, profiles: readonly TopicProfile[], logger: Logger): RecordSource {
  const all = profiles.flatMap(({ schemas }) => schemas ?? [])
  if (all.length === 0) return source
  const failing = () => all.map((schemas) => schemas.failing()).find((reason) => reason !== undefined)
  return {
    run: async (consumer, signal) => {
      try {
        await Promise.all(all.map((schemas) => schemas.check(signal, logger)))
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
      await source.run(awaiting(consumer, logger), signal)
    },
    state: () => {
      const state = source.state()
      return { ...state, failing: failing() ?? state.failing }
    },
  }
}

const awaiting = (consumer: RecordConsumer, logger: Logger): RecordConsumer => ({
  accept: async (records, signal) => {
    for (const [schemas, values] of bySchemas(records))
      // oxlint-disable-next-line no-await-in-loop -- a batch has one topic, and a topic few schemas
      for (const id of schemas.unheardOf(values)) await schemas.fetch(id, signal, logger)
    await consumer.accept(records, signal)
  },
  ...(consumer.atOnce !== undefined && { atOnce: consumer.atOnce }),
  rewind: () => consumer.rewind?.(),
  ...(consumer.safePositions && { safePositions: () => consumer.safePositions!() }),
})

function bySchemas(records: readonly RawRecord[]): Map<FetchedSchemas, (Buffer | null)[]> {
  const found = new Map<FetchedSchemas, (Buffer | null)[]>()
  for (const { profile, value } of records) {
    if (!profile.schemas) continue
    const values = found.get(profile.schemas)
    if (values) values.push(value)
    else found.set(profile.schemas, [value])
  }
  return found
}
