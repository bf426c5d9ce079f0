import type { Coverage } from '@flasktoria/contracts/coverage'
import { maxVehicles, type VehicleUse } from '@flasktoria/contracts/rest-v1-positions'
import type { Period } from '@flasktoria/warehouse/queries'
import type { ColumnType } from '@flasktoria/warehouse/history-layout'
import { columnRows } from './column-rows.ts'
import { movingAboveKmh } from './cost.ts'
import { handoverOf } from './coverage.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { fuelSensor, speedSensor } from './live-answers.ts'
import { negotiate } from './negotiation.ts'
import type { Handlers } from './operation-routes.ts'
import { periodOf } from './period.ts'
import { defaultGapSeconds, refuseLongPeriod, refuseLongScan } from './position-parameters.ts'
import { answerRows } from './rows-answer.ts'
import { drivingOf, fuelUseOf, joinDriving, joinFuelUse } from './use-sums.ts'
import { fleetUse, ranked, vehicleUse } from './vehicle-use.ts'

const fuelIntervalMs = 5 * 60_000
/** Percent of the tank. Less is the noise of a level that sloshes. */
const filledAbove = 5

type UseParameters = { speedLimit?: number | undefined; gap?: number | undefined }

export function createStatsHandlers(
  { history, window, watermark, limits, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'getVehicleStats' | 'getStats'> {
  const seam = { window, watermark }

  async function sumUp(
    period: Period,
    vehicle: string | undefined,
    { speedLimit = 100, gap = defaultGapSeconds }: UseParameters,
    signal: AbortSignal,
  ): Promise<{ uses: VehicleUse[]; coverage: Coverage }> {
    const rules = { movingAbove: movingAboveKmh, speedLimit, gapMs: gap * 1_000 }
    const vehiclesWith = (sensor: string) => (vehicle === undefined ? window.vehiclesWith(sensor) : [vehicle])
    const { past, recent, coverage } = handoverOf(period, seam, 'readings', now(), (late) =>
      [speedSensor, fuelSensor].some((sensor) =>
        vehiclesWith(sensor).some((one) => window.readings(one, sensor, late).length > 0),
      ),
    )
    const newDrivings = vehiclesWith(speedSensor).flatMap((one) =>
      drivingOf(one, window.readings(one, speedSensor, recent), rules),
    )
    const newFuels = vehiclesWith(fuelSensor).flatMap((one) =>
      fuelUseOf(one, window.readings(one, fuelSensor, recent), fuelIntervalMs, filledAbove),
    )
    const source = past.from <= past.to ? history : undefined
    const level = { sensor: fuelSensor, intervalMs: fuelIntervalMs, filledAbove }
    const [drivings = [], fuels = []] = await Promise.all([
      source?.driving({ ...past, vehicle, sensor: speedSensor, ...rules }, signal),
      source?.fuelUse({ ...past, vehicle, ...level }, signal),
    ])
    const uses = fleetUse(joinDriving([drivings, newDrivings], rules), joinFuelUse([fuels, newFuels], filledAbove))
    return { uses, coverage }
  }

  return {
    getVehicleStats: async ({ parameters }, c) => {
      const { vehicle_id: vehicle } = parameters
      const period = periodOf(parameters, now())
      refuseLongScan(period, history, limits.fleetPeriodMs)
      const { uses, coverage } = await gate.run(c.get('signal'), (signal) => sumUp(period, vehicle, parameters, signal))
      const [use = vehicleUse(vehicle, undefined, undefined)] = uses
      return { ...period, ...use, coverage }
    },

    getStats: async ({ parameters }, c) => {
      const { order = 'idle', limit = maxVehicles } = parameters
      const format = negotiate(c, parameters.format)
      const period = periodOf(parameters, now())
      refuseLongPeriod(period, limits.fleetPeriodMs, 'from', 'to')
      const { uses, coverage } = await gate.run(c.get('signal'), (signal) =>
        sumUp(period, undefined, parameters, signal),
      )
      const rows = ranked(uses, order).slice(0, limit)
      const end = { truncated: uses.length > limit, next: null, coverage }
      return answerRows(c, { format, columns, head: period, rows: columnRows(columns, rows, end) })
    },
  }
}

const columns = {
  vehicle: 'text',
  speedReadings: 'bigint',
  movingSeconds: 'double',
  idleSeconds: 'double',
  distanceMetres: 'double',
  maxSpeedKmh: 'double',
  overspeedSeconds: 'double',
  overspeedCount: 'bigint',
  overspeedShare: 'double',
  fuelUsed: 'double',
  fuelFilled: 'double',
  fillings: 'bigint',
} as const satisfies Record<keyof VehicleUse, ColumnType>
