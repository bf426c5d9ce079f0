import { vehicleName, type SensorCatalogue, type VehicleNames } from '@flasktoria/contracts/catalogue'
import type { SensorDescriptor, VehicleDetails, VehicleOverview } from '@flasktoria/contracts/rest'
import type { TimeValue } from '@flasktoria/contracts/updates'
import type { BrowserOrigin } from './browser.ts'
import type { RecentWindow } from './recent-window.ts'
import type { Series } from './series.ts'

export const fuelSensor = 'pid_47_mode_1'
export const speedSensor = 'pid_13_mode_1'
const detailsMs = 60_000

export const socketUrl = ({ isSecure, host }: BrowserOrigin, client: string): string =>
  `${isSecure ? 'wss' : 'ws'}://${host}/ws?client=${client}`

export const mapOf = (window: RecentWindow, names: VehicleNames): VehicleOverview[] =>
  window.positions().map(({ vehicle, lat, long, timestamp }) => ({
    name: vehicleName(names, vehicle),
    id: vehicle,
    lat,
    long,
    status: 'ok',
    timestamp,
  }))

export const describeSensors = (sensors: SensorCatalogue): SensorDescriptor[] =>
  sensors.map(({ id, name, unit, low, high }) => ({ sensor_id: id, sensor_name: name, unit, low, high }))

/** A clock that is a little ahead of ours does not hide a vehicle's newest readings: the last minute has no end. */
export function detailsOf(
  window: RecentWindow,
  vehicle: string,
  now: number,
  catalogues: { names: VehicleNames; sensors: SensorDescriptor[] },
): VehicleDetails {
  const lastMinute = { from: now - detailsMs, to: Infinity }
  const valuesOf = (sensor: string) => timeValues(window.readings(vehicle, sensor, lastMinute))
  return {
    name: vehicleName(catalogues.names, vehicle),
    status: 'ok',
    sensors: catalogues.sensors,
    sensordata: { fuel: valuesOf(fuelSensor), speed: valuesOf(speedSensor), kpi: [] },
  }
}

const timeValues = ({ timestamps, values }: Series): TimeValue[] =>
  timestamps.map((timestamp, index) => ({ timestamp, value: values[index]! }))
