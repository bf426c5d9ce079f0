import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { RecordBatch } from './simulator-batch.ts'
import type { SimulatorTarget } from './simulate-run.ts'

/** How records are addressed in Kafka. */
export type Addresses = {
  /** Of each stream; undefined: none of its records come. */
  topics: readonly (string | undefined)[]
  /** Of each vehicle; undefined: records have no key. */
  keys: readonly string[] | undefined
}

export const createNullTarget = (): SimulatorTarget => ({
  write: () => Promise.resolve(),
  close: () => Promise.resolve(),
})

/** A line of JSON for each record, with the value in base64. Waits for whoever reads; `onGone` says that nobody does any more. */
export function createLinesTarget(output: Writable, { topics, keys }: Addresses, onGone: () => void): SimulatorTarget {
  output.on('error', onGone)
  const lineOf = (batch: RecordBatch, record: number) =>
    JSON.stringify({
      topic: topics[batch.stream(record)],
      key: keys?.[batch.vehicle(record)] ?? null,
      timestamp: batch.time(record),
      value: batch.value(record).toString('base64'),
    })
  return {
    write: async (batch) => {
      let text = ''
      for (let record = 0; record < batch.count; record++) text += `${lineOf(batch, record)}\n`
      // Who is gone has said so above.
      if (text !== '' && !output.write(text)) await once(output, 'drain').catch(() => {})
    },
    close: () => Promise.resolve(),
  }
}
