import type { Period } from '@flasktoria/warehouse/queries'
import type { Driving, FuelUse } from '@flasktoria/warehouse/queries-use'

const growth = 4

/** `firstMs`: as long as is safe while nobody knows how many readings there are. */
export type SliceSizes = { stepMs: number; firstMs: number; sliceRows: number }

/**
 * Asks about a long period in slices of about `sliceRows` readings, one after the other, for engines that hold what they sort
 * in memory. They begin at multiples of `stepMs`.
 */
export async function inSlices<Sums extends { readings: number }>(
  { from, to }: Period,
  { stepMs, firstMs, sliceRows }: SliceSizes,
  ask: (slice: Period) => Promise<Sums[]>,
): Promise<Sums[][]> {
  const slices: Sums[][] = []
  let steps = Math.ceil(firstMs / stepMs)
  for (let start = from; start <= to;) {
    const end = Math.min(to, start - (start % stepMs) + steps * stepMs - 1)
    const sums = await ask({ from: start, to: end })
    slices.push(sums)
    const rows = sums.reduce((total, { readings }) => total + readings, 0)
    steps = Math.max(1, Math.floor(steps * Math.min(growth, sliceRows / Math.max(1, rows))))
    start = end + 1
  }
  return slices
}

/** The sums of slices that follow one another, as those of the whole. */
export const joinDriving = (slices: readonly Driving[][]): Driving[] =>
  join(slices, (a, b) => ({
    vehicle: a.vehicle,
    readings: a.readings + b.readings,
    movingMs: a.movingMs + b.movingMs,
    idleMs: a.idleMs + b.idleMs,
    distanceMetres: a.distanceMetres + b.distanceMetres,
    overspeedMs: a.overspeedMs + b.overspeedMs,
    overspeeds: a.overspeeds + b.overspeeds,
    maxSpeedKmh: Math.max(a.maxSpeedKmh, b.maxSpeedKmh),
  }))

/** The same, with what happened between the last interval of one slice and the first of the next. */
export const joinFuelUse = (slices: readonly FuelUse[][], filledAbove: number): FuelUse[] =>
  join(slices, (a, b) => {
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

function join<Sums extends { vehicle: string }>(
  slices: readonly Sums[][],
  both: (earlier: Sums, later: Sums) => Sums,
): Sums[] {
  const whole = new Map<string, Sums>()
  for (const sums of slices.flat()) {
    const earlier = whole.get(sums.vehicle)
    whole.set(sums.vehicle, earlier ? both(earlier, sums) : sums)
  }
  return [...whole.values()]
}
