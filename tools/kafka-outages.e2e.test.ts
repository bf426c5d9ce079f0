import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Chance } from './crash-loop/chance.ts'
import { joinsOf, measureRecovery, untilIngestsSay, untilWritten } from './crash-loop/outage.ts'
import { openScene, type Scene } from './crash-loop/scene.ts'
import { freePort } from './servers/daemon.ts'
import { startKafka } from './servers/kafka.ts'
import { say } from './servers/run.ts'

const deadlineMs = 10_000
const sessionTimeoutMs = 6_000
const dir = mkdtempSync(join(tmpdir(), 'flasktoria-kafka-outages-'))
let scene: Scene

beforeAll(async () => {
  scene = await openScene({ dir, sessionTimeoutMs, chance: new Chance(2) })
  await untilWritten(scene, 1)
})
afterAll(async () => {
  await scene?.[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

async function expectRecovery(what: string) {
  const recovery = await measureRecovery(scene)
  say(`${what}: ${JSON.stringify(recovery)}`)
  expect(Math.max(...Object.values(recovery))).toBeLessThan(deadlineMs)
}

test('Kafka is down: that is said, and there is no storm of joins when it is back', async () => {
  const joins = await joinsOf(scene)
  await scene.rig.kafka.kill()
  await untilIngestsSay(scene, 'source', /^Kafka /)
  await scene.rig.kafka.start()
  await expectRecovery('Kafka was down')
  // A broker that needs longer than a session to start may take a member for gone, once.
  for (const [index, count] of (await joinsOf(scene)).entries()) expect(count - joins[index]!).toBeLessThanOrEqual(1)
})

test('the coordinator of the group moves to another broker, and back', async () => {
  const { place, brokers } = scene.rig.kafka
  const port = await freePort()
  const second = await startKafka({
    ...place,
    dir: join(dir, 'kafka-2'),
    port,
    settings: {
      'process.roles': 'broker',
      'node.id': 2,
      listeners: `PLAINTEXT://127.0.0.1:${port}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    },
  })
  onTestFinished(() => second.kill())
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  onTestFinished(() => admin.disconnect())
  const coordinator = async () => (await admin.describeGroups(['flasktoria'])).groups[0]?.members.length
  for (const broker of [2, 1]) {
    await admin.alterPartitionReassignments({
      topics: [{ topic: '__consumer_offsets', partitionAssignment: [{ partition: 0, replicas: [broker] }] }],
    })
    const isLed = async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: ['__consumer_offsets'] })
      return topics[0]?.partitions[0]?.leader
    }
    await expect.poll(isLed, { timeout: 30_000 }).toBe(broker)
    await expectRecovery(`the coordinator moved to broker ${broker}`)
    await expect.poll(coordinator, { timeout: 30_000 }).toBe(2)
  }
})

test('an instance that is silent for longer than its session loses its partitions, and comes back', async () => {
  const [silent] = scene.rig.ingests
  silent!.freeze()
  onTestFinished(() => silent!.thaw())
  // Any partition may get them: the other one has all partitions when they are in the log.
  expect(await untilWritten(scene, scene.traffic.anomalies.length + 50)).toBe(true)
  silent!.thaw()
  await expectRecovery('an instance was frozen')
})

test('in the end nothing was lost, nothing came twice, and nothing older was shown after something newer', async () => {
  for (const ingest of scene.rig.ingests) expect(await ingest.metric('kafka_lost_records_total')).toBe(0)
  const { faults, ...report } = await scene.end()
  say(JSON.stringify(report))
  expect(faults).toEqual([])
  expect(report).toMatchObject({ epochs: 1, gapsTold: 0, missedAtSeams: { reader: 0, client: 0 } })
})
