import type { Period, VehicleRange } from '@flasktoria/warehouse/queries'
import type { VehicleReadings } from '@flasktoria/warehouse/queries-use'

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

/**
 * Cuts a fleet, in the order of its ids, into neighbours with at most `sliceRows` readings together: their rows stand side by
 * side in the files. Who has more stands alone.
 */
export function vehicleRanges(fleet: readonly VehicleReadings[], sliceRows: number): (VehicleRange & Sum)[] {
  const ranges: (VehicleRange & Sum)[] = []
  for (const { vehicle, readings } of fleet) {
    const range = ranges.at(-1)
    if (!range || range.readings + readings > sliceRows) {
      ranges.push({ first: vehicle, last: vehicle, readings })
      continue
    }
    range.last = vehicle
    range.readings += readings
  }
  return ranges
}
type Sum = { readings: number }
