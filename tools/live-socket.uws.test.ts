import { Fleet } from '@flasktoria/client/fleet'
import { LiveSocket } from '@flasktoria/client/live-socket'
import type { Bbox, ServerMessage } from '@flasktoria/contracts/stream'
import type { PositionUpdate } from '@flasktoria/contracts/updates'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import type { Draft } from '@flasktoria/live-log/log'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { readConfig } from '@flasktoria/service-kit/config'
import { configSchema, optionNames } from '@flasktoria/stream-hub/config'
import { start, type StreamHub } from '@flasktoria/stream-hub/main'
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
let now = 0
/** The newest position of a vehicle, so many degrees north. */
const position = (lat: number, vehicle = 'v'): Draft => {
  const timestamp = ++now
  const update: PositionUpdate = { update_type: 'position', vehicle_id: vehicle, lat, long: 0, timestamp }
  return { kind: 'position', vehicle, sensor: '', eventTs: timestamp, json: JSON.stringify(update) }
}
const reading = (number: number): Draft => ({
  kind: 'sensordata',
  vehicle: 'v',
  sensor: 's',
  eventTs: number,
  json: JSON.stringify({
    update_type: 'sensordata',
    vehicle_id: 'v',
    sensor_id: 's',
    values: [{ timestamp: number, value: number }],
    value: String(number),
    timestamp: number,
  }),
})

/** A live log with a hub that can be stopped and started again, and the picture of a client. */
async function startStage() {
  const log = createMemoryLog()
  const mutes = createMemoryMutes()
  const feeds = createMemoryFeeds()
  const PORT = String(await freePort())
  const config = readConfig(configSchema, { PORT, LOG_LEVEL: 'silent', DRAIN_MS: '100' }, optionNames)
  let hub: StreamHub | undefined
  const startHub = async () => void (hub = await start(config, { reader: log, mutes, feeds }))
  const stopHub = async () => hub?.[Symbol.asyncDispose]()
  await startHub()
  onTestFinished(stopHub)
  const fleet = new Fleet()
  const got: ServerMessage[] = []
  const states: string[] = []
  const show = (message: ServerMessage) => {
    got.push(message)
    fleet.receive(message, live.subscriptions)
  }
  const types = ['ack', 'snapshot', 'updates', 'leave', 'gap', 'stats', 'feed', 'bye'] as const
  const live = new LiveSocket({
    url: `${hub!.url}/ws`,
    on: Object.fromEntries(types.map((type) => [type, show])),
    onState: (state) => states.push(state),
  })
  onTestFinished(() => live.close())
  const lats = (id: string) =>
    Object.fromEntries([...fleet.view(id).positions].map(([vehicle, { lat }]) => [vehicle, lat]))
  return { log, startHub, stopHub, live, fleet, got, states, lats }
}
/** Latitudes from 0 to 10, or from 20 to 30. */
const low: Bbox = [-1, 0, 1, 10]
const high: Bbox = [-1, 20, 1, 30]
const soon = { timeout: 15_000, interval: 20 }

test('a live socket comes back by itself to another hub, misses nothing and gets nothing twice', async () => {
  const { log, startHub, stopHub, live, fleet, got, states, lats } = await startStage()
  await log.append([position(1), anomaly(1)])
  live.subscribe('all', {})
  await expect.poll(() => lats('all'), soon).toEqual({ v: 1 })

  await log.append([anomaly(2)])
  await expect.poll(() => fleet.anomalies.map(({ desc }) => desc), soon).toEqual(['a2'])
  await stopHub()
  await log.append([position(2), anomaly(3)])
  await startHub()
  await log.append([position(3), anomaly(4)])

  await expect.poll(() => lats('all'), soon).toEqual({ v: 3 })
  expect(fleet.anomalies.map(({ desc }) => desc)).toEqual(['a2', 'a3', 'a4'])
  expect(got.filter(({ type }) => type === 'snapshot')).toHaveLength(1)
  expect(got.filter(({ type }) => type === 'bye')).toHaveLength(1)
  expect(states).toEqual(expect.arrayContaining(['connecting', 'open', 'waiting']))
})

test('a box that moves shows what is in it, and nothing else', async () => {
  const { log, live, got, lats } = await startStage()
  await log.append([position(1, 'a'), position(5, 'b'), position(25, 'c')])
  live.subscribe('map', { bbox: low, positionsOnly: true })
  await expect.poll(() => lats('map'), soon).toEqual({ a: 1, b: 5 })
  live.update('map', { bbox: high })
  await expect.poll(() => lats('map'), soon).toEqual({ c: 25 })
  live.update('map', { bbox: [-1, 0, 1, 30] })
  await expect.poll(() => lats('map'), soon).toEqual({ a: 1, b: 5, c: 25 })
  expect(got).toContainEqual(expect.objectContaining({ type: 'leave', id: 'map', vehicles: ['a', 'b'] }))
})

test('vehicles that drive out of a box and into it leave and enter', async () => {
  const { log, live, lats } = await startStage()
  await log.append([position(9, 'goes'), position(19, 'comes'), position(5, 'stays')])
  live.subscribe('map', { bbox: low })
  await expect.poll(() => lats('map'), soon).toEqual({ goes: 9, stays: 5 })
  await log.append([position(11, 'goes'), position(10, 'comes'), position(6, 'stays')])
  await expect.poll(() => lats('map'), soon).toEqual({ comes: 10, stays: 6 })
})

test('a vehicle that leaves the box stays in the subscription that names it', async () => {
  const { log, live, lats } = await startStage()
  await log.append([position(1)])
  live.subscribe('map', { bbox: low })
  live.subscribe('selected', { vehicles: ['v'] })
  await expect.poll(() => lats('selected'), soon).toEqual({ v: 1 })
  await log.append([position(12)])
  await expect.poll(() => [lats('map'), lats('selected')], soon).toEqual([{}, { v: 12 }])
  live.unsubscribe('selected')
  await expect.poll(() => lats('selected'), soon).toEqual({})
})

test('a box resumes: who left it meanwhile leaves, who came enters', async () => {
  const { log, startHub, stopHub, live, got, lats } = await startStage()
  await log.append([position(1, 'a'), position(5, 'b'), position(25, 'c')])
  live.subscribe('map', { bbox: low })
  await expect.poll(() => lats('map'), soon).toEqual({ a: 1, b: 5 })
  await log.append([position(2, 'a')])
  await expect.poll(() => lats('map'), soon).toEqual({ a: 2, b: 5 })
  await stopHub()
  await log.append([position(15, 'a'), position(7, 'c')])
  await startHub()
  await expect.poll(() => lats('map'), soon).toEqual({ b: 5, c: 7 })
  expect(got.filter(({ type }) => type === 'bye')).toHaveLength(1)
})

test('a box that moves while no hub answers shows what is in it when one does', async () => {
  const { log, startHub, stopHub, live, lats } = await startStage()
  await log.append([position(1, 'a'), position(25, 'c')])
  live.subscribe('map', { bbox: low })
  await expect.poll(() => lats('map'), soon).toEqual({ a: 1 })
  await stopHub()
  live.update('map', { bbox: high })
  await startHub()
  await expect.poll(() => lats('map'), soon).toEqual({ c: 25 })
})

test('each reading comes to who asks for every one, at whatever rate', async () => {
  const { log, live, got } = await startStage()
  live.subscribe('chart', { vehicles: ['v'], sensors: ['s'], kinds: ['sensordata'], every: true, maxRateHz: 1 })
  await expect.poll(() => got.some(({ type }) => type === 'snapshot'), soon).toBe(true)
  const numbers = Array.from({ length: 100 }, (_, index) => index + 1)
  for (const number of numbers) await log.append([reading(number)])
  const values = () =>
    got.flatMap((message) =>
      message.type === 'updates'
        ? message.updates.flatMap((update) =>
            update.update_type === 'sensordata' ? update.values.map(({ value }) => value) : [],
          )
        : [],
    )
  await expect.poll(() => values().length, soon).toBe(100)
  expect(values()).toEqual(numbers)
})

test('statistics say what was sent', async () => {
  const { log, live, got, lats } = await startStage()
  live.subscribe('all', {})
  await log.append([position(1)])
  await expect.poll(() => lats('all'), soon).toEqual({ v: 1 })
  live.askStats()
  await expect.poll(() => got.at(-1), soon).toMatchObject({ type: 'stats', isLagging: false, maxRateHz: null })
  const stats = got.findLast((message) => message.type === 'stats')
  expect(stats?.frames).toBeGreaterThan(0)
  expect(stats?.bytes).toBeGreaterThan(0)
  expect(stats?.delivered).toBe(1)
})
