import type { ServerMessage } from '@flasktoria/contracts/stream'
import type { Update } from '@flasktoria/contracts/updates'
import { expect, test } from 'vitest'
import { Fleet } from './fleet.ts'
import type { MessageOf } from './server-message.ts'
import type { Wishes } from './wishes.ts'

const position = (vehicle: string, lat = 0): Update => ({
  update_type: 'position',
  vehicle_id: vehicle,
  lat,
  long: 0,
  timestamp: lat,
})
const reading = (vehicle: string, sensor: string): Update => ({
  update_type: 'sensordata',
  vehicle_id: vehicle,
  sensor_id: sensor,
  values: [],
  value: 'D',
  timestamp: 1,
})
const anomaly = (desc: string): Update => ({
  update_type: 'anomaly',
  desc,
  cost_impact: '0',
  vehicle_id: 'v',
  declared_timestamp: '',
  detection_timestamp: '',
  cause: '',
  actions: '',
  downtime: '0',
})
const snapshot = (
  id: string,
  updates: Update[],
  reason: MessageOf<'snapshot'>['reason'] = 'subscribed',
  part = 0,
): ServerMessage => ({ type: 'snapshot', id, cursor: 'c', updates, part, more: false, reason })
const updates = (...some: Update[]): ServerMessage => ({ type: 'updates', cursor: 'c', updates: some })
const leave = (id: string, ...vehicles: string[]): ServerMessage => ({ type: 'leave', id, cursor: 'c', vehicles })

/** What each subscription shows after these messages. */
function fleetAfter(subscriptions: Record<string, Wishes>, ...messages: ServerMessage[]) {
  const fleet = new Fleet(2)
  const wishes = new Map(Object.entries(subscriptions).map(([id, one]) => [id, { wishes: one }]))
  for (const message of messages) fleet.receive(message, wishes)
  return fleet
}
const bbox: Wishes['bbox'] = [0, 0, 1, 1]
const vehiclesOf = (fleet: Fleet, id: string) => [...fleet.view(id).vehicles].toSorted()

test('the newest of everything stands', () => {
  const fleet = fleetAfter(
    { all: {} },
    updates(position('v', 1), position('v', 2), reading('v', 's')),
    updates(
      { update_type: 'sensorstatus', vehicle_id: 'v', sensor_id: 's', value: 'low' },
      { update_type: 'vehiclestatus', vehicle_id: 'v', value: 'stale', timestamp: 1 },
    ),
  )
  const view = fleet.view('all')
  expect(view.positions.get('v')?.lat).toBe(2)
  expect(view.readings.get('v')?.get('s')).toEqual(reading('v', 's'))
  expect(view.statuses.get('v')?.get('s')).toBe('low')
  expect(view.health.get('v')).toBe('stale')
})

test('anomalies are bounded, and outlive the present state', () => {
  const fleet = fleetAfter(
    { all: {} },
    updates(anomaly('a'), anomaly('b'), anomaly('c'), position('v')),
    snapshot('all', []),
  )
  expect(vehiclesOf(fleet, 'all')).toEqual([])
  expect(fleet.anomalies.map(({ desc }) => desc)).toEqual(['b', 'c'])
})

test('the first part of a snapshot replaces, the next ones add, and so do vehicles that entered', () => {
  const fleet = fleetAfter(
    { map: { bbox } },
    snapshot('map', [position('old')]),
    snapshot('map', [position('a')], 'moved'),
    snapshot('map', [position('b')], 'moved', 1),
    snapshot('map', [position('c')], 'entered'),
  )
  expect(vehiclesOf(fleet, 'map')).toEqual(['a', 'b', 'c'])
})

test('a vehicle that leaves one subscription stays in the others', () => {
  const fleet = fleetAfter(
    { map: { bbox }, selected: { vehicles: ['v'] } },
    snapshot('map', [position('v')]),
    snapshot('selected', [position('v')]),
    leave('map', 'v'),
    updates(position('v', 2)),
  )
  expect(vehiclesOf(fleet, 'map')).toEqual([])
  expect(fleet.view('selected').positions.get('v')?.lat).toBe(2)
})

test('an update shows in every subscription that asked for it, and in no other', () => {
  const fleet = fleetAfter(
    {
      positions: { positionsOnly: true },
      other: { vehicles: ['w'] },
      speed: { vehicles: ['v'], sensors: ['speed'], kinds: ['sensordata'] },
    },
    updates(position('v'), reading('v', 'speed'), reading('v', 'fuel')),
  )
  expect([...fleet.view('positions').positions.keys()]).toEqual(['v'])
  expect(fleet.view('positions').readings.size).toBe(0)
  expect([...fleet.view('speed').readings.get('v')!.keys()]).toEqual(['speed'])
  expect(vehiclesOf(fleet, 'other')).toEqual([])
})

test('a vehicle outside a box comes in by a snapshot only', () => {
  const fleet = fleetAfter({ map: { bbox }, all: {} }, snapshot('map', []), snapshot('all', []), updates(position('v')))
  expect(vehiclesOf(fleet, 'map')).toEqual([])
  expect(vehiclesOf(fleet, 'all')).toEqual(['v'])
})

test('the first reading of a vehicle shows in the box that asked for readings only', () => {
  const fleet = fleetAfter({ map: { bbox, kinds: ['sensordata'] } }, snapshot('map', []), updates(reading('v', 's')))
  expect(vehiclesOf(fleet, 'map')).toEqual(['v'])
})

test('a reading that another subscription wants, too, does not take the place of a newer one', () => {
  const late = { ...reading('v', 's'), timestamp: 0 } as Update
  const fleet = fleetAfter({ a: {}, each: { every: true } }, snapshot('a', [reading('v', 's')]), updates(late))
  expect(fleet.view('a').readings.get('v')?.get('s')).toMatchObject({ timestamp: 1 })
  expect(fleet.view('each').readings.get('v')?.get('s')).toMatchObject({ timestamp: 0 })
})

test('what a subscription showed is gone with it', () => {
  const fleet = fleetAfter({}, snapshot('map', [position('v')]), { type: 'ack', id: 'map' })
  expect(vehiclesOf(fleet, 'map')).toEqual([])
})
