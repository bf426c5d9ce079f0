import type { Ranking, VehicleUse } from '@flasktoria/contracts/rest-v1-positions'
import type { Driving, FuelUse } from '@flasktoria/warehouse/queries-use'

const seconds = (ms: number) => ms / 1_000
/** Engines add up in different orders: what differs is far behind the decimal point. */
const rounded = (value: number, decimals: number) => Number(value.toFixed(decimals))

/** What is known of a vehicle; undefined: it reported no such thing. */
export function vehicleUse(vehicle: string, driving: Driving | undefined, fuel: FuelUse | undefined): VehicleUse {
  const { readings = 0, movingMs = 0, idleMs = 0, distanceMetres = 0, overspeedMs = 0, overspeeds = 0 } = driving ?? {}
  return {
    vehicle,
    speedReadings: readings,
    movingSeconds: seconds(movingMs),
    idleSeconds: seconds(idleMs),
    distanceMetres: rounded(distanceMetres, 0),
    maxSpeedKmh: driving?.maxSpeedKmh ?? null,
    overspeedSeconds: seconds(overspeedMs),
    overspeedCount: overspeeds,
    overspeedShare: movingMs > 0 ? rounded(overspeedMs / movingMs, 4) : null,
    fuelUsed: fuel ? rounded(Math.max(0, fuel.used), 2) : null,
    fuelFilled: fuel ? rounded(fuel.filled, 2) : null,
    fillings: fuel?.fillings ?? null,
  }
}

/** Each vehicle of which anything is known. */
export function fleetUse(drivings: readonly Driving[], fuels: readonly FuelUse[]): VehicleUse[] {
  const drivingOf = new Map(drivings.map((driving) => [driving.vehicle, driving]))
  const fuelOf = new Map(fuels.map((fuel) => [fuel.vehicle, fuel]))
  const vehicles = new Set([...drivingOf.keys(), ...fuelOf.keys()])
  return [...vehicles].map((vehicle) => vehicleUse(vehicle, drivingOf.get(vehicle), fuelOf.get(vehicle)))
}

const leading: Record<Ranking, (use: VehicleUse) => number> = {
  idle: ({ idleSeconds }) => idleSeconds,
  distance: ({ distanceMetres }) => distanceMetres,
  fuel: ({ fuelUsed }) => fuelUsed ?? -1,
  overspeed: ({ overspeedSeconds }) => overspeedSeconds,
}

/** The greatest first; equals in the order of their ids. */
export const ranked = (uses: readonly VehicleUse[], ranking: Ranking): VehicleUse[] =>
  uses.toSorted((a, b) => leading[ranking](b) - leading[ranking](a) || (a.vehicle < b.vehicle ? -1 : 1))
