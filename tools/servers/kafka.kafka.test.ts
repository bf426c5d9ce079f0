import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findDaemon, freePort } from './daemon.ts'
import { answersKafka, createTopics, startKafka } from './kafka.ts'

let dir: string
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'flasktoria-kafka-'))))
afterEach(async () => {
  await findDaemon({ dir, name: 'kafka' })?.kill()
  rmSync(dir, { recursive: true, force: true })
})

test('a Kafka that was killed comes back on its port with its topics and their records', async () => {
  const place = { dir, port: await freePort(), controllerPort: await freePort() }
  const first = await startKafka(place)
  await createTopics(first.url, ['one', 'two'], 4)
  const client = new Kafka({ brokers: [first.url], logLevel: logLevel.NOTHING })
  const producer = client.producer()
  await producer.connect()
  await producer.send({ topic: 'one', messages: [{ value: 'kept', partition: 3 }] })
  await producer.disconnect()
  await first.kill()
  expect(await answersKafka(first.url)).toBe(false)

  await startKafka(place)
  // Harmless where the topics exist.
  await createTopics(first.url, ['one', 'two'], 4)
  const admin = client.admin()
  await admin.connect()
  const { topics } = await admin.fetchTopicMetadata({ topics: ['one', 'two'] })
  expect(topics.map(({ partitions }) => partitions.length)).toEqual([4, 4])
  expect(await admin.fetchTopicOffsets('one')).toContainEqual(expect.objectContaining({ partition: 3, offset: '1' }))
  await admin.disconnect()
})
