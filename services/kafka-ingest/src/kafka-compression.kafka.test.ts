import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { produceWithJava } from '../../../tools/servers/kafka-java-producer.ts'
import { sensorProfile } from './built-in-profiles.ts'
import { collector, idsOf, numbersOf, openTestbed, rule, upTo, type Testbed } from './kafka-testbed.ts'

const brokers = process.env['KAFKA_BROKERS']
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')
let bed: Testbed
beforeAll(async () => {
  bed = await openTestbed(brokers.split(','))
})
afterEach(() => bed.stopAll())
afterAll(() => bed.close())

// So many that a batch of Snappy has several blocks.
const lines = upTo(20_000).map((number) => String(number).padStart(12, '0'))

test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
  'batches that the Java producer compressed with %s are read, headers and all',
  async (codec) => {
    const topic = await bed.createTopic(bed.fresh(codec))
    await produceWithJava({ brokers, topic, codec, lines, headers: { source: 'car', trace: 'a1' } })
    const { records, consumer } = collector()
    bed.consume(consumer, { topics: [rule(sensorProfile, topic)] })
    await expect.poll(() => idsOf(records).size, { timeout: 20_000, interval: 50 }).toBe(lines.length)
    expect(numbersOf(records)).toEqual(upTo(lines.length))
  },
)
