import { vehicleName, type SensorCatalogue, type VehicleNames } from '@flasktoria/contracts/catalogue'
import type { SensorDescriptor, VehicleOverview } from '@flasktoria/contracts/rest'
import type { BrowserOrigin } from './browser.ts'
import type { RecentWindow } from './recent-window.ts'
import { valuesJson } from './series-json.ts'

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

/** The sensors of the catalogue, as JSON: the same in the answer for every vehicle. */
export const sensorsJson = (sensors: SensorCatalogue): string =>
  JSON.stringify(
    sensors.map(({ id, name, unit, low, high }): SensorDescriptor => ({
      sensor_id: id,
      sensor_name: name,
      unit,
      low,
      high,
    })),
  )

/**
 * A vehicle, as JSON of the contract's `VehicleDetails`. A clock that is a little ahead of ours does not hide the newest
 * readings: the last minute has no end.
 */
export function detailsJson(
  window: RecentWindow,
  vehicle: string,
  now: number,
  { names, sensors }: { names: VehicleNames; sensors: string },
): string {
  const lastMinute = { from: now - detailsMs, to: Infinity }
  const valuesOf = (sensor: string) => valuesJson(window.readings(vehicle, sensor, lastMinute))
  const sensordata = `{"fuel":${valuesOf(fuelSensor)},"speed":${valuesOf(speedSensor)},"kpi":[]}`
  const name = JSON.stringify(vehicleName(names, vehicle))
  return `{"name":${name},"status":"ok","sensors":${sensors},"sensordata":${sensordata}}`
}
