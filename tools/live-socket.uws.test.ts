import { Fleet } from '@flasktoria/client/fleet'
import { LiveSocket } from '@flasktoria/client/live-socket'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import type { Draft } from '@flasktoria/live-log/log'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { configSchema, optionNames } from '@flasktoria/stream-hub/config'
import { start } from '@flasktoria/stream-hub/main'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from './servers/daemon.ts'

const anomaly = (number: number): Draft => ({
  kind: 'anomaly',
  vehicle: 'v',
  sensor: '',
  eventTs: number,
  id: `a${number}`,
  json: JSON.stringify({
    update_type: 'anomaly',
    desc: `a${number}`,
    cost_impact: '0',
    vehicle_id: 'v',
    declared_timestamp: '',
    detection_timestamp: '',
    cause: '',
    actions: '',
    downtime: '0',
  }),
})
const position = (number: number): Draft => ({
  kind: 'position',
  vehicle: 'v',
  sensor: '',
  eventTs: number,
  json: JSON.stringify({ update_type: 'position', vehicle_id: 'v', lat: number, long: 0, timestamp: number }),
})

test('a live socket comes back by itself to another hub, misses nothing and gets nothing twice', async () => {
  const log = createMemoryLog()
  const mutes = createMemoryMutes()
  const PORT = String(await freePort())
  const startHub = () =>
    start(readConfig(configSchema, { PORT, LOG_LEVEL: 'silent', DRAIN_MS: '100' }, optionNames), { reader: log, mutes })

  let hub = await startHub()
  await log.append([position(1), anomaly(1)])
  const fleet = new Fleet()
  const states: string[] = []
  let snapshots = 0
  const live = new LiveSocket({
    url: `${hub.url}/ws`,
    on: {
      snapshot: (message) => {
        snapshots += 1
        fleet.receive(message, live.subscriptions)
      },
      updates: (message) => fleet.receive(message, live.subscriptions),
    },
    onState: (state) => states.push(state),
  })
  onTestFinished(() => live.close())
  live.subscribe('all', {})
  await expect.poll(() => fleet.view('all').positions.get('v')?.lat).toBe(1)

  await log.append([anomaly(2)])
  await expect.poll(() => fleet.anomalies.map(({ desc }) => desc)).toEqual(['a2'])
  await hub[Symbol.asyncDispose]()
  await log.append([position(2), anomaly(3)])
  hub = await startHub()
  onTestFinished(() => hub[Symbol.asyncDispose]())
  await log.append([position(3), anomaly(4)])

  await expect.poll(() => fleet.view('all').positions.get('v')?.lat, { timeout: 15_000 }).toBe(3)
  expect(fleet.anomalies.map(({ desc }) => desc)).toEqual(['a2', 'a3', 'a4'])
  expect(snapshots).toBe(1)
  expect(states).toEqual(expect.arrayContaining(['connecting', 'open', 'waiting']))
})
