import { vehicleIdSchema } from '@flasktoria/contracts/identifiers'
import type { Period } from '@flasktoria/warehouse/queries'
import { z } from 'zod'
import type { History } from './history.ts'
import { parseKeyset } from './keyset-cursor.ts'
import { Problem } from './problem.ts'

export const defaultGapSeconds = 300

const timeKey = z.tuple([z.int().nonnegative()])
const vehicleKey = z.tuple([vehicleIdSchema])

/**
 * What is left of a period behind the page that a cursor ends.
 * @throws Problem
 */
export function continued({ from, to }: Period, cursor: string | undefined): Period {
  const [begin] = parseKeyset(cursor, timeKey) ?? [from]
  if (begin < from || begin > to) throw new Problem('invalid_parameter', 'cursor is of another period.', ['cursor'])
  return { from: begin, to }
}

/**
 * The last vehicle of the page before.
 * @throws Problem
 */
export const vehicleBehind = (cursor: string | undefined): string | undefined => parseKeyset(cursor, vehicleKey)?.[0]

/**
 * Questions about all vehicles read all rows of their period.
 * @throws Problem
 */
export function refuseLongPeriod({ from, to }: Period, maxMs: number, ...fields: string[]): void {
  if (to - from <= maxMs) return
  const hours = Math.floor(maxMs / 360_000) / 10
  throw new Problem('invalid_parameter', `At most ${hours} hours can be asked for at once.`, fields)
}

/**
 * So do those about one vehicle, where tables can be looked up by time only.
 * @throws Problem
 */
export function refuseLongScan(
  period: Period,
  history: Pick<History, 'isByTimeOnly'> | undefined,
  maxMs: number,
): void {
  if (history?.isByTimeOnly) refuseLongPeriod(period, maxMs, 'from', 'to')
}
