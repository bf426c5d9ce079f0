import type { AnomalyRecord } from '@flasktoria/contracts/records'
import { encodeRecord, wrapRecord } from '@flasktoria/kafka-ingest/encode'
import { Kafka, logLevel } from 'kafkajs'
import { randomBytes } from 'node:crypto'
import type { StackStatus } from '../stack/status.ts'
import type { Reading } from './readings.ts'

type Message = { topic: string; key?: string; value: Buffer | null }

const batchSize = 1_000
const garbageShare = 0.01

/** What no schema knows: noise, nothing, a tombstone, text, and a record that breaks off. */
const garbage = (index: number): Buffer | null =>
  [
    randomBytes(1 + (index % 200)),
    Buffer.alloc(0),
    null,
    Buffer.from('{"timestamp": 1490072404000}'),
    encodeRecord.anomaly(anomalyRecord('torn', 1)).subarray(0, 20),
  ][index % 5]!

const anomalyRecord = (vehicle: string, serial: number): AnomalyRecord => ({
  timestamp: Date.now(),
  detection_time: `serial ${serial}`,
  confirmation_time: new Date().toISOString(),
  sensor_group: 'engine',
  sensor: 'pid_5_mode_1',
  uuid: vehicle,
  anomaly_id: serial % 6,
  rootCause: 'a test',
  recommendation: 'none',
  src: 'e2e',
})

/** The platform's producers. Most know no keys, so that any partition may carry any vehicle. Nothing is sent twice or lost. */
export async function createProducers({ kafka }: StackStatus) {
  const retry = { retries: 200, initialRetryTime: 100, maxRetryTime: 1_000 }
  const client = new Kafka({
    brokers: kafka.brokers.split(','),
    retry,
    connectionTimeout: 1_000,
    logLevel: logLevel.NOTHING,
  })
  const producer = client.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
  await producer.connect()
  const { sensor, sensorV5, anomaly, envelopeSource, envelopeHostIp, confluent, json } = kafka.topics

  const sendAll = async (messages: readonly Message[]) => {
    for (let begin = 0; begin < messages.length; begin += batchSize) {
      const batch = Map.groupBy(messages.slice(begin, begin + batchSize), ({ topic }) => topic)
      const topicMessages = [...batch].map(([topic, group]) => ({
        topic,
        messages: group.map(({ key = null, value }) => ({ key, value })),
      }))
      await producer.sendBatch({ topicMessages })
    }
  }
  const sixFields = ({ vehicle, ts, sensor: id, text }: Reading): Message => ({
    topic: sensor,
    value: encodeRecord.sensor({
      timestamp: ts,
      sensor_group: 'e2e',
      sensor: id,
      uuid: vehicle,
      value: `x: ${text}`,
      src: 'e2e',
    }),
  })
  const fiveFields = ({ vehicle, ts, sensor: id, text }: Reading): Message => ({
    topic: sensorV5,
    value: encodeRecord['sensor-v5']({
      timestamp: new Date(ts).toISOString().slice(0, 19).replace('T', ' '),
      sensor_group: 'e2e',
      sensor: id,
      uuid: vehicle,
      value: `x: ${text}`,
    }),
  })

  /** The same record, as other platforms write it. */
  const otherForms = {
    envelopeSource: (record: Buffer): Message => ({
      topic: envelopeSource,
      value: wrapRecord.envelopeSource(record, Date.now(), 'e2e'),
    }),
    envelopeHostIp: (record: Buffer): Message => ({
      topic: envelopeHostIp,
      value: wrapRecord.envelopeHostIp(record, Date.now(), 'e2e', '10.0.0.1'),
    }),
    confluent: (record: Buffer): Message => ({ topic: confluent, value: wrapRecord.confluent(record, 1) }),
  }
  const jsonForm = ({ vehicle, ts, sensor: id, text }: Reading): Message => ({
    topic: json,
    value: Buffer.from(JSON.stringify({ timestamp: ts, sensor: id, uuid: vehicle, value: `x: ${text}` })),
  })

  return {
    /** One reading in another form than Avro's bare one, behind a value that is garbage there. */
    otherForm: (form: keyof typeof otherForms | 'json', reading: Reading) => {
      const bare = sixFields(reading)
      const message = form === 'json' ? jsonForm(reading) : otherForms[form](bare.value!)
      return sendAll([{ ...bare, topic: message.topic }, message])
    },
    /** By both producers in turns, with one per cent of garbage between. */
    readings: (readings: readonly Reading[]) =>
      sendAll(
        readings.flatMap((reading, index) => {
          const message = index % 2 === 0 ? sixFields(reading) : fiveFields(reading)
          return index % (1 / garbageShare) === 0
            ? [message, { ...message, value: garbage(Math.round(index * garbageShare)) }]
            : [message]
        }),
      ),
    /** By a producer that counts milliseconds, and names the vehicle as the key: what it says of one stays in order. */
    precise: (readings: readonly Reading[]) =>
      sendAll(readings.map((reading) => ({ ...sixFields(reading), key: reading.vehicle }))),
    anomalies: (vehicle: string, serials: readonly number[]) =>
      sendAll(
        serials.map((serial) => ({ topic: anomaly, value: encodeRecord.anomaly(anomalyRecord(vehicle, serial)) })),
      ),
    garbage: (count: number) =>
      sendAll(
        Array.from({ length: count }, (_, index) => ({
          topic: [sensor, sensorV5, anomaly][index % 3]!,
          value: garbage(index),
        })),
      ),
    close: () => producer.disconnect(),
  }
}
export type Producers = Awaited<ReturnType<typeof createProducers>>
