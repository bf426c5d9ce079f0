// The peer of the ingest benchmark: a kafkajs consumer that reads all records and does nothing with them.
// argv: brokers topic records. Prints how many it has seen, at the first batch and at the last.
import { Kafka, logLevel } from 'kafkajs'

const [brokers, topic, records] = process.argv.slice(2)
const kafka = new Kafka({ brokers: brokers!.split(','), logLevel: logLevel.ERROR })
const consumer = kafka.consumer({ groupId: `noop-${process.pid}`, maxBytesPerPartition: 524_288, maxWaitTimeInMs: 250 })
await consumer.connect()
await consumer.subscribe({ topics: [topic!], fromBeginning: true })
let seen = 0
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  eachBatch: async ({ batch }) => {
    if (seen === 0) console.log(batch.messages.length)
    seen += batch.messages.length
    if (seen >= Number(records)) console.log(seen)
  },
})
