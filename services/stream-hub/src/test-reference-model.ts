import type { Bbox, Subscribe } from '@flasktoria/contracts/stream'
import { updateClass, type Update } from '@flasktoria/contracts/updates'

export type Wishes = Omit<Subscribe, 'type' | 'id' | 'cursor'>
type Place = { lat: number; long: number }

/** Something that was said about a vehicle, once. */
export type Fact = {
  readonly number: number
  readonly update: Update
  readonly eventTs: number
  /** A newer one of its key was there before. */
  readonly isLate: boolean
  /** Where its vehicle was then, as far as anybody knew. */
  readonly place: Place | undefined
}

export const sensorOf = (update: Update): string => ('sensor_id' in update ? update.sensor_id : '')
export const keyOf = (update: Update): string => [update.update_type, update.vehicle_id, sensorOf(update)].join(' ')
export const nameOf = ({ update, number }: Fact): string => `${keyOf(update)} #${number}`
export const isNewer = (one: Fact, other: Fact): boolean =>
  one.eventTs > other.eventTs || (one.eventTs === other.eventTs && one.number > other.number)

const eastward = (from: number, to: number) => (((to - from) % 360) + 360) % 360

export const contains = ([west, south, east, north]: Bbox, { lat, long }: Place): boolean =>
  south <= lat &&
  lat <= north &&
  (east - west >= 360 || Math.abs(lat) === 90 || eastward(west, long) <= eastward(west, east))

/** Whether a subscription wants this kind of thing of this vehicle, wherever that is. */
export const wants = ({ kinds, positionsOnly, vehicles, sensors }: Wishes, update: Update): boolean =>
  (positionsOnly ? update.update_type === 'position' : (kinds?.includes(update.update_type) ?? true)) &&
  (vehicles?.includes(update.vehicle_id) ?? true) &&
  (!sensors || !('sensor_id' in update) || sensors.includes(update.sensor_id))

export const wantsThere = ({ bbox }: Wishes, place: Place | undefined): boolean =>
  !bbox || (place !== undefined && contains(bbox, place))

/** Wishes after an `update`: what is absent stays; a box takes the place of vehicles, and the other way round. */
export const changed = ({ bbox, vehicles, ...wishes }: Wishes, changes: Wishes): Wishes => ({
  ...wishes,
  ...(!changes.bbox && !changes.vehicles && { ...(bbox && { bbox }), ...(vehicles && { vehicles }) }),
  ...changes,
})

/** Everything that was said, and what follows from it. It knows of no seq, cursor, window, ring, lane, grid or frame. */
export class ReferenceModel {
  #facts: Fact[] = []
  #said = 0

  say(update: Update, eventTs: number): Fact {
    const number = ++this.#said
    const known = this.#newest().get(keyOf(update))
    const isLate = known !== undefined && updateClass[update.update_type] === 'merge' && known.eventTs > eventTs
    const fact = { number, update, eventTs, isLate, place: this.place(update.vehicle_id) }
    this.#facts.push(fact)
    return fact
  }

  /** The log lost the last ones that were said. */
  forgetLast(count: number): void {
    this.#facts = this.#facts.slice(0, Math.max(0, this.#facts.length - count))
  }

  place(vehicle: string): Place | undefined {
    const update = this.#newest().get(keyOf({ update_type: 'position', vehicle_id: vehicle } as Update))?.update
    return update?.update_type === 'position' ? update : undefined
  }

  /** What a subscription shows when everything has come. */
  picture(wishes: Wishes): Fact[] {
    return [...this.#newest().values()].filter(
      ({ update }) =>
        updateClass[update.update_type] === 'merge' &&
        wants(wishes, update) &&
        wantsThere(wishes, this.place(update.vehicle_id)),
    )
  }

  #newest(): Map<string, Fact> {
    const newest = new Map<string, Fact>()
    for (const fact of this.#facts) if (!fact.isLate) newest.set(keyOf(fact.update), fact)
    return newest
  }
}
