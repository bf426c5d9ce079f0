// kafkajs asks who coordinates a group when it joins, and never again: when that broker dies and another one takes over, heartbeats
// go on to the dead one until the group is without us.
import kafkajs from 'kafkajs'
import { createRequire } from 'node:module'

type ConsumerGroup = {
  groupId: string
  coordinator: object
  cluster: { findGroupCoordinator: (of: { groupId: string }) => Promise<object> }
  heartbeat: (options: { interval: number }) => Promise<void>
}

const { KafkaJSConnectionError } = kafkajs
const { prototype } = createRequire(import.meta.url)('kafkajs/src/consumer/consumerGroup.js') as {
  prototype: ConsumerGroup
}
const beat = prototype.heartbeat
const searches = new WeakMap<ConsumerGroup, Promise<void>>()

async function search(group: ConsumerGroup): Promise<void> {
  try {
    group.coordinator = await group.cluster.findGroupCoordinator({ groupId: group.groupId })
  } finally {
    searches.delete(group)
  }
}

/** Once for all partitions that are read side by side. */
function searchOnce(group: ConsumerGroup): Promise<void> {
  const running = searches.get(group) ?? search(group)
  searches.set(group, running)
  return running
}

async function heartbeat(this: ConsumerGroup, options: { interval: number }): Promise<void> {
  try {
    await beat.call(this, options)
  } catch (error) {
    if (!(error instanceof KafkaJSConnectionError)) throw error
    await searchOnce(this)
    await beat.call(this, options)
  }
}

/** Lets the heartbeats of all consumers find their group's coordinator, whichever broker it is by now. */
export function followCoordinators(): void {
  prototype.heartbeat = heartbeat
}
