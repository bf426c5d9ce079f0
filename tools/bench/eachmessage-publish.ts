// A peer of the ingest benchmark: what one writes first with kafkajs and ioredis. Each record is decoded, made into an update and
// published by itself. argv: brokers topic records redis. Prints how many it has seen, at the first record and at the last.
import { sensorProfile } from '@flasktoria/kafka-ingest/built-in-profiles'
import { Redis } from 'ioredis'
import { Kafka, logLevel } from 'kafkajs'

const [brokers, topic, records, redisUrl] = process.argv.slice(2)
const redis = new Redis(redisUrl!)
const kafka = new Kafka({ brokers: brokers!.split(','), logLevel: logLevel.ERROR })
const consumer = kafka.consumer({
  groupId: `naive-${process.pid}`,
  maxBytesPerPartition: 524_288,
  maxWaitTimeInMs: 250,
})
await consumer.connect()
await consumer.subscribe({ topics: [topic!], fromBeginning: true })
let seen = 0
await consumer.run({
  eachMessage: async ({ message }) => {
    const decoded = sensorProfile.read(message.value)
    if (decoded.ok) await redis.publish('updates', JSON.stringify({ updates: [decoded] }))
    if (seen === 0) console.log(1)
    if (++seen === Number(records)) console.log(seen)
  },
})
