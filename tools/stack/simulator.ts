// A simulated fleet that reports to Kafka: node simulator.ts BROKERS VEHICLES SENSOR_TOPIC ANOMALY_TOPIC
import { createSimulatorSource } from '@flasktoria/kafka-ingest/source-simulator'
import { Kafka, logLevel } from 'kafkajs'

const [brokers, vehicles, sensor, anomaly] = process.argv.slice(2)
if (!brokers || !vehicles || !sensor || !anomaly) throw new Error('simulator.ts lacks an argument')

const retry = { retries: 200, initialRetryTime: 100, maxRetryTime: 1_000, factor: 0.2, multiplier: 1.5 }
const kafka = new Kafka({ brokers: brokers.split(','), connectionTimeout: 1_000, retry, logLevel: logLevel.ERROR })
const producer = kafka.producer({ allowAutoTopicCreation: false })
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort())

await producer.connect()
const fleet = createSimulatorSource({ vehicles: Number(vehicles), seed: 1, topics: { sensor, anomaly } })
await fleet.run(
  {
    accept: async (records) => {
      // Without keys, as the old producers: any partition may carry any vehicle.
      const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, group]) => ({
        topic,
        messages: group.map(({ value }) => ({ value })),
      }))
      await producer.sendBatch({ topicMessages, acks: 1 })
    },
  },
  stop.signal,
)
await producer.disconnect()
