import { positionSensor } from '@flasktoria/contracts/records'
import { encodeRecord } from '@flasktoria/kafka-ingest/encode'
import { Kafka, logLevel } from 'kafkajs'
import { setTimeout as sleep } from 'node:timers/promises'
import { readingKey, type Reading } from '../e2e/readings.ts'
import type { Chance } from './chance.ts'
import { topics } from './rig.ts'

type Message = { key: string | null; value: Buffer }

const vehicles = Array.from({ length: 20 }, (_, index) => `truck-${index + 1}`)
const sensors = ['pid_13_mode_1', 'pid_5_mode_1', 'pid_47_mode_1', positionSensor]
const pauseMs = 40
const readingsAtOnce = 12
const anomaliesAtOnce = 2

/** What a sensor shows at a time, so that who knows the time knows the value. No truck moves a metre. */
const textAt = (sensor: string, ts: number): string => {
  const part = String(ts % 1_000).padStart(3, '0')
  return sensor === positionSensor ? `[50.1000${part},8.6000${part}]` : `${ts % 1_000}`
}

/**
 * What the platform's producers send, and what follows from it. Half of the records have a key; the others may come through
 * any partition, so that a newer reading overtakes an older one; some are sent late on purpose.
 */
export async function createTraffic(brokers: string, chance: Chance) {
  const retry = { retries: 200, initialRetryTime: 100, maxRetryTime: 1_000 }
  const client = new Kafka({ brokers: [brokers], retry, connectionTimeout: 1_000, logLevel: logLevel.NOTHING })
  const producer = client.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
  await producer.connect()

  /** The newest reading of each vehicle and sensor. */
  const last = new Map<string, Reading>()
  /** Every reading of a sensor, but for positions: `readingKey`, then the time. */
  const readings = new Set<string>()
  /** When the anomaly of each serial was acknowledged by Kafka, epoch ms. */
  const anomalies: number[] = []

  const keyFor = (vehicle: string) => (chance.isLikely(0.5) ? vehicle : null)

  const readingMessage = ({ vehicle, ts: timestamp, sensor, text }: Reading): Message => ({
    key: keyFor(vehicle),
    value: encodeRecord.sensor({
      timestamp,
      sensor_group: 'crash',
      sensor,
      uuid: vehicle,
      value: `x: ${text}`,
      src: 'crash-loop',
    }),
  })
  const anomalyMessage = (serial: number): Message => {
    const vehicle = chance.pick(vehicles)
    return {
      key: keyFor(vehicle),
      value: encodeRecord.anomaly({
        timestamp: Date.now(),
        detection_time: `serial ${serial}`,
        confirmation_time: new Date().toISOString(),
        sensor_group: 'crash',
        sensor: 'pid_5_mode_1',
        uuid: vehicle,
        anomaly_id: serial % 6,
        rootCause: 'a test',
        recommendation: 'none',
        src: 'crash-loop',
      }),
    }
  }

  function nextReading(vehicle: string, sensor: string, isLate: boolean): Reading {
    const known = last.get(readingKey({ vehicle, sensor }))
    const ts = isLate && known ? known.ts - 1 - chance.integer(2_000) : Math.max(Date.now(), (known?.ts ?? 0) + 1)
    const reading = { vehicle, sensor, ts, text: textAt(sensor, ts) }
    if (!isLate || !known) last.set(readingKey(reading), reading)
    if (sensor !== positionSensor) readings.add(`${readingKey(reading)}\t${ts}`)
    return reading
  }

  async function send(sent: readonly Reading[], serials: readonly number[]): Promise<void> {
    await producer.sendBatch({
      topicMessages: [
        { topic: topics.sensor, messages: sent.map(readingMessage) },
        { topic: topics.anomaly, messages: serials.map(anomalyMessage) },
      ].filter(({ messages }) => messages.length > 0),
    })
    for (const serial of serials) anomalies[serial] = Date.now()
  }

  async function run(signal: AbortSignal): Promise<void> {
    for (let serial = 0; !signal.aborted; serial += anomaliesAtOnce) {
      const sent = Array.from({ length: readingsAtOnce }, () =>
        nextReading(chance.pick(vehicles), chance.pick(sensors), chance.isLikely(0.1)),
      )
      await send(
        sent,
        Array.from({ length: anomaliesAtOnce }, (_, index) => serial + index),
      )
      await sleep(pauseMs)
    }
  }

  let running: Promise<void> | undefined
  const stopping = new AbortController()
  return {
    last,
    readings,
    anomalies,
    start: () => {
      running = run(stopping.signal)
    },
    /** What was begun is sent; then each vehicle says once more where it is and what it measures. */
    finish: async () => {
      stopping.abort()
      await running
      await send(
        vehicles.flatMap((vehicle) => sensors.map((sensor) => nextReading(vehicle, sensor, false))),
        [],
      )
    },
    /** How many records the topic holds. */
    anomaliesInKafka: async () => {
      const admin = client.admin()
      await admin.connect()
      try {
        const ends = await admin.fetchTopicOffsets(topics.anomaly)
        return ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
      } finally {
        await admin.disconnect()
      }
    },
    close: async () => {
      stopping.abort()
      await running?.catch(() => {})
      await producer.disconnect()
    },
  }
}
