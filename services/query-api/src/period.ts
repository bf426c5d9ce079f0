import { sensorIdSchema } from '@flasktoria/contracts/identifiers'
import type { Period } from '@flasktoria/warehouse/queries'
import { Problem } from './problem.ts'

/** Nothing was measured before the year 1, and every engine knows the days since. */
const earliestMs = Date.parse('0001-01-01T00:00:00Z')

/**
 * The period that `start_ts` and `end_ts` name. Integers of any length are compared exactly; an end in the future is now.
 * @throws Problem
 */
export function readPeriod(parameters: { start_ts: string; end_ts?: string | undefined }, now: number): Period {
  const start = BigInt(parameters.start_ts)
  const end = parameters.end_ts === undefined ? BigInt(now) : BigInt(parameters.end_ts)
  if (parameters.end_ts !== undefined && start >= end)
    throw new Problem('invalid_parameter', 'start_ts has to be before end_ts.', ['start_ts', 'end_ts'])
  if (start > now) throw new Problem('invalid_parameter', 'start_ts is in the future.', ['start_ts'])
  return { from: clamp(start, now), to: clamp(end, now) }
}

const clamp = (ts: bigint, now: number): number => Math.min(Math.max(Number(ts), earliestMs), now)

/**
 * The period that `from` and `to` name below /api/v1; an end in the future is now.
 * @throws Problem
 */
export function periodOf(asked: { from: number; to?: number | undefined }, now: number): Period {
  const { from, to = now } = asked
  if (from > now) throw new Problem('invalid_parameter', 'from is in the future.', ['from'])
  if (from > to) throw new Problem('invalid_parameter', 'from is behind to.', ['from', 'to'])
  return { from, to: Math.min(to, now) }
}

/**
 * The sensors that a comma-separated list names, each once, in its order.
 * @throws Problem
 */
export function readSensorIds(text: string, max: number): string[] {
  const ids = [...new Set(text.split(',').filter((id) => id !== ''))]
  if (ids.length === 0) throw new Problem('invalid_parameter', 'sensor_ids names no sensor.', ['sensor_ids'])
  if (ids.length > max)
    throw new Problem('invalid_parameter', `sensor_ids names more than ${max} sensors.`, ['sensor_ids'])
  if (!ids.every((id) => sensorIdSchema.safeParse(id).success))
    throw new Problem('invalid_parameter', 'sensor_ids holds something that is no sensor id.', ['sensor_ids'])
  return ids
}
