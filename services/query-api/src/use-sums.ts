import { absurdSpeed, type Driving, type DrivingQuestion, type FuelUse } from '@flasktoria/warehouse/queries-use'
import type { Series } from './series.ts'

/** What counts as moving, as too fast and as silent. */
type DrivingRules = Pick<DrivingQuestion, 'movingAbove' | 'speedLimit' | 'gapMs'>

/** The sums of parts that follow one another, as those of the whole. */
export const joinDriving = (parts: readonly (readonly Driving[])[], rules: DrivingRules): Driving[] =>
  join(parts, (a, b) => followedBy(a, b, rules))

/** The same, with what happened between the last interval of one part and the first of the next. */
export const joinFuelUse = (parts: readonly (readonly FuelUse[])[], filledAbove: number): FuelUse[] =>
  join(parts, (a, b) => {
    const rise = b.firstMean - a.lastMean
    const isFilled = rise >= filledAbove
    return {
      vehicle: a.vehicle,
      readings: a.readings + b.readings,
      used: a.used + b.used - (isFilled ? 0 : rise),
      filled: a.filled + b.filled + (isFilled ? rise : 0),
      fillings: a.fillings + b.fillings + (isFilled ? 1 : 0),
      firstMean: a.firstMean,
      lastMean: b.lastMean,
    }
  })

/** As the engine sums up readings, which come newest first. Empty where there are none. */
export function drivingOf(vehicle: string, { timestamps, values }: Series, rules: DrivingRules): Driving[] {
  let sums: Driving | undefined
  for (let index = timestamps.length - 1; index >= 0; index--) {
    const speed = values[index]!
    if (speed < 0 || speed > absurdSpeed) continue
    const next = still(vehicle, timestamps[index]!, speed, rules)
    sums = sums ? followedBy(sums, next, rules) : next
  }
  return sums ? [sums] : []
}

export function fuelUseOf(vehicle: string, series: Series, intervalMs: number, filledAbove: number): FuelUse[] {
  const levels = series.timestamps.map((timestamp, index) => ({ timestamp, level: series.values[index]! }))
  const intervals = Map.groupBy(levels.toReversed(), ({ timestamp }) => Math.floor(timestamp / intervalMs))
  const single = [...intervals.values()].map((own) => {
    const mean = own.reduce((sum, { level }) => sum + level, 0) / own.length
    return [{ vehicle, readings: own.length, used: 0, filled: 0, fillings: 0, firstMean: mean, lastMean: mean }]
  })
  return joinFuelUse(single, filledAbove)
}

/** Of one reading nothing is known but that it was there. */
const still = (vehicle: string, timestamp: number, speed: number, { speedLimit }: DrivingRules): Driving => ({
  vehicle,
  readings: 1,
  movingMs: 0,
  idleMs: 0,
  distanceMetres: 0,
  overspeedMs: 0,
  overspeeds: speed > speedLimit ? 1 : 0,
  maxSpeedKmh: speed,
  first: speed,
  firstAt: timestamp,
  last: speed,
  lastAt: timestamp,
})

function followedBy(a: Driving, b: Driving, { movingAbove, speedLimit, gapMs }: DrivingRules): Driving {
  const between = b.firstAt - a.lastAt
  const ms = between <= gapMs ? between : 0
  const isMoving = a.last > movingAbove
  const isTooFast = a.last > speedLimit
  const staysTooFast = isTooFast && b.first > speedLimit && between <= gapMs
  return {
    vehicle: a.vehicle,
    readings: a.readings + b.readings,
    movingMs: a.movingMs + b.movingMs + (isMoving ? ms : 0),
    idleMs: a.idleMs + b.idleMs + (isMoving ? 0 : ms),
    // km/h × ms / 3,600 are metres.
    distanceMetres: a.distanceMetres + b.distanceMetres + (((a.last + b.first) / 2) * ms) / 3_600,
    overspeedMs: a.overspeedMs + b.overspeedMs + (isTooFast ? ms : 0),
    overspeeds: a.overspeeds + b.overspeeds - (staysTooFast ? 1 : 0),
    maxSpeedKmh: Math.max(a.maxSpeedKmh, b.maxSpeedKmh),
    first: a.first,
    firstAt: a.firstAt,
    last: b.last,
    lastAt: b.lastAt,
  }
}

function join<Sums extends { vehicle: string }>(
  parts: readonly (readonly Sums[])[],
  both: (earlier: Sums, later: Sums) => Sums,
): Sums[] {
  const whole = new Map<string, Sums>()
  for (const sums of parts.flat()) {
    const earlier = whole.get(sums.vehicle)
    whole.set(sums.vehicle, earlier ? both(earlier, sums) : sums)
  }
  return [...whole.values()]
}
