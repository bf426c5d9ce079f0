import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { freePort, type Server } from '../../../tools/servers/daemon.ts'
import { startKafka, type KafkaPlace } from '../../../tools/servers/kafka.ts'
import { sensorProfile } from './built-in-profiles.ts'
import { collector, idsOf, numbered, numbersOf, openTestbed, rule, upTo, type Testbed } from './kafka-testbed.ts'

const dir = mkdtempSync(join(tmpdir(), 'flasktoria-cluster-'))
const eventually = { timeout: 30_000, interval: 100 }
const places: KafkaPlace[] = []
const servers: Server[] = []
let bed: Testbed

/** Node 1 leads the cluster; node 2 only serves. */
beforeAll(async () => {
  const clusterId = randomBytes(16).toString('base64url')
  const controllerPort = await freePort()
  for (const node of [1, 2]) {
    const port = await freePort()
    const settings = {
      'node.id': node,
      'broker.id': node,
      ...(node === 2 && {
        'process.roles': 'broker',
        listeners: `PLAINTEXT://127.0.0.1:${port}`,
      }),
    }
    places.push({ dir: join(dir, String(node)), port, controllerPort, clusterId, settings })
  }
  for (const place of places) servers.push(await startKafka(place))
  bed = await openTestbed(servers.map(({ url }) => url))
})
afterEach(() => bed.stopAll())
afterAll(async () => {
  await bed.close()
  for (const server of servers) await server.kill()
  rmSync(dir, { recursive: true, force: true })
})

const partitionOf = async (topic: string) =>
  (await bed.admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions[0]
const leaderOf = async (topic: string) => (await partitionOf(topic))?.leader
const move = (topic: string, replicas: number[]) =>
  bed.admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: [{ partition: 0, replicas }] }] })

test('a partition whose leader changes, and then dies and comes back, is read without a hole', async () => {
  const topic = await bed.createTopic(bed.fresh('raw'))
  const { records, consumer } = collector()
  const { source } = bed.consume(consumer, { topics: [rule(sensorProfile, topic)] })
  await bed.sendAnew(topic, numbered(0, 10))
  await expect.poll(() => idsOf(records).size, eventually).toBe(10)

  const other = (await leaderOf(topic)) === 1 ? 2 : 1
  await move(topic, [other])
  await expect.poll(() => leaderOf(topic), eventually).toBe(other)
  await bed.sendAnew(topic, numbered(10, 20))
  await expect.poll(() => idsOf(records).size, eventually).toBe(20)

  await servers[other - 1]!.kill()
  servers[other - 1] = await startKafka(places[other - 1]!)
  await expect.poll(() => leaderOf(topic), eventually).toBe(other)
  await bed.sendAnew(topic, numbered(20, 30))
  await expect.poll(() => idsOf(records).size, eventually).toBe(30)
  expect(new Set(numbersOf(records))).toEqual(new Set(upTo(30)))
  expect(source.state().failing).toBeUndefined()
  // The next test goes on without node 2.
  await move(topic, [1])
  await expect.poll(() => leaderOf(topic), eventually).toBe(1)
})

test('the broker that coordinates the group dies: its member goes on with the next one, and nobody takes it for gone', async () => {
  const topic = await bed.createTopic(bed.fresh('raw'))
  await move(topic, [1])
  await expect.poll(() => leaderOf(topic), eventually).toBe(1)
  const { records, consumer } = collector()
  const [group, sessionTimeoutMs] = [bed.fresh('group'), 4_000]
  const { source } = bed.consume(consumer, { topics: [rule(sensorProfile, topic)], group, sessionTimeoutMs })
  const members = async () =>
    (await bed.admin.describeGroups([group])).groups[0]?.members.map(({ memberId }) => memberId)
  await bed.sendAnew(topic, numbered(0, 10))
  await expect.poll(() => idsOf(records).size, eventually).toBe(10)

  const positions = '__consumer_offsets'
  await move(positions, [2])
  await expect.poll(() => leaderOf(positions), eventually).toBe(2)
  await move(positions, [2, 1])
  await expect.poll(async () => (await partitionOf(positions))?.isr, eventually).toHaveLength(2)
  await expect.poll(members, eventually).toHaveLength(1)
  const before = await members()

  await servers.pop()!.kill()
  await expect.poll(() => leaderOf(positions), eventually).toBe(1)
  await delay(sessionTimeoutMs + 1_000)
  expect(await members()).toEqual(before)
  expect(source.state().failing).toBeUndefined()
  await bed.sendAnew(topic, numbered(10, 20))
  await expect.poll(() => new Set(numbersOf(records)), eventually).toEqual(new Set(upTo(20)))
})
