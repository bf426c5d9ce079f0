import type { Update } from '@flasktoria/contracts/updates'
import { expect, test } from 'vitest'
import { Fleet } from './fleet.ts'

const position = (lat: number): Update => ({ update_type: 'position', vehicle_id: 'v', lat, long: 0, timestamp: lat })
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

test('the newest position of a vehicle stands', () => {
  const fleet = new Fleet()
  fleet.apply([position(1), position(2)])
  expect([...fleet.positions.values()].map((update) => update.lat)).toEqual([2])
})

test('readings and statuses are kept by vehicle and sensor', () => {
  const fleet = new Fleet()
  const reading: Update = {
    update_type: 'sensordata',
    vehicle_id: 'v',
    sensor_id: 's',
    values: [],
    value: 'D',
    timestamp: 1,
  }
  fleet.apply([reading, { update_type: 'sensorstatus', vehicle_id: 'v', sensor_id: 's', value: 'low' }])
  expect(fleet.readings.get('v')?.get('s')).toEqual(reading)
  expect(fleet.statuses.get('v')?.get('s')).toBe('low')
})

test('anomalies are bounded, and outlive the present state', () => {
  const fleet = new Fleet(2)
  fleet.apply([anomaly('a'), anomaly('b'), anomaly('c'), position(1)])
  fleet.clear()
  expect(fleet.positions.size).toBe(0)
  expect(fleet.anomalies.map(({ desc }) => desc)).toEqual(['b', 'c'])
})
