import { setTimeout as delay } from 'node:timers/promises'
import { anomalyProfile, sensorProfile } from './built-in-profiles.ts'
import { FleetEncoder } from './encode-fleet.ts'
import type { RawRecord, RecordSource } from './record-source.ts'
import { anomalyStream, type RecordBatch } from './simulator-batch.ts'
import { Fleet } from './simulator-fleet.ts'

export type SimulatorOptions = {
  vehicles: number
  seed: number
  /** Where each kind of record goes. */
  topics: { sensor: string; anomaly: string }
}

const secondMs = 1_000

/** The fleet as a record source, at the pace of the clock. A consumer that takes its time slows it down; nothing piles up. */
export const createSimulatorSource = ({ vehicles, seed, topics }: SimulatorOptions): RecordSource => ({
  run: async (consumer, signal) => {
    const fleet = new Fleet({ vehicles, seed })
    const encoder = new FleetEncoder({ vehicles })
    const number = numbering(topics, encoder.names)
    const turnMs = secondMs / fleet.turnsPerSecond
    let dueAt = Date.now()
    while (!signal.aborted) {
      encoder.ts = Math.floor(dueAt)
      fleet.nextTurn(encoder)
      try {
        if (encoder.batch.count > 0) await consumer.accept(number(encoder.take()), signal)
        dueAt = Math.max(dueAt + turnMs, Date.now() - secondMs)
        await delay(Math.max(0, dueAt - Date.now()), undefined, { signal })
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  },
  state: () => ({ failing: undefined, lagRecords: null, lagMs: null }),
})

/** As if they came from Kafka, out of the only partition of each topic. */
function numbering(topics: SimulatorOptions['topics'], names: readonly string[]) {
  const sensor = { topic: topics.sensor, profile: sensorProfile, next: 0 }
  const anomaly = { topic: topics.anomaly, profile: anomalyProfile, next: 0 }
  return (batch: RecordBatch): RawRecord[] =>
    Array.from({ length: batch.count }, (_, record) => {
      const stream = batch.stream(record) === anomalyStream ? anomaly : sensor
      return {
        topic: stream.topic,
        profile: stream.profile,
        partition: 0,
        offset: stream.next++,
        key: names[batch.vehicle(record)]!,
        value: batch.value(record),
        timestamp: batch.time(record),
      }
    })
}
