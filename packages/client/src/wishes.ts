import type { Subscribe } from '@flasktoria/contracts/stream'
import type { Update } from '@flasktoria/contracts/updates'

/** What a subscription shall let through; see `subscribeSchema`. */
export type Wishes = Omit<Subscribe, 'type' | 'id' | 'cursor'>

/** Wishes after an `update`: what is absent stays; a box takes the place of vehicles, and the other way round. */
export function changed({ bbox, vehicles, ...wishes }: Wishes, changes: Wishes): Wishes {
  const said = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as Wishes
  const place = said.bbox || said.vehicles ? {} : { ...(bbox && { bbox }), ...(vehicles && { vehicles }) }
  return { ...wishes, ...place, ...said }
}

/** Whether wishes let an update through, wherever its vehicle is. */
export function letThrough({ kinds, positionsOnly, vehicles, sensors }: Wishes, update: Update): boolean {
  if (positionsOnly ? update.update_type !== 'position' : kinds && !kinds.includes(update.update_type)) return false
  if (vehicles && !vehicles.includes(update.vehicle_id)) return false
  return !sensors || !('sensor_id' in update) || sensors.includes(update.sensor_id)
}

export const letThroughAnomalies = ({ kinds, positionsOnly }: Wishes): boolean =>
  !positionsOnly && (kinds?.includes('anomaly') ?? true)
