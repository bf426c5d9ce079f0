import type { View } from '@flasktoria/client/fleet'
import type { Bbox } from '@flasktoria/contracts/stream'
import type { PositionUpdate } from '@flasktoria/contracts/updates'

type Place = Pick<PositionUpdate, 'lat' | 'long'>

export const isInside = ([west, south, east, north]: Bbox, { lat, long }: Place) =>
  long >= west && long <= east && lat >= south && lat <= north

/** From one share of the places to another, counted from the west and from the south. */
export function boxBetween(places: readonly Place[], from: number, to: number): Bbox {
  const [longs, lats] = [places.map(({ long }) => long), places.map(({ lat }) => lat)]
  return [at(longs, from), at(lats, from), at(longs, to), at(lats, to)]
}

/** How what a box shows differs from where the vehicles are. */
export function boxErrors(box: Bbox, truth: View, shown: View): string[] {
  const vehicles = new Set([...truth.positions.keys(), ...shown.positions.keys()])
  return [...vehicles].flatMap((vehicle) => {
    const [is, seen] = [truth.positions.get(vehicle), shown.positions.get(vehicle)]
    const isHere = is !== undefined && isInside(box, is)
    if (!isHere) return seen ? [`${vehicle} is shown, but not there`] : []
    if (!seen) return [`${vehicle} is there, but not shown`]
    return is.lat === seen.lat && is.long === seen.long ? [] : [`${vehicle} is elsewhere`]
  })
}

const at = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))]!
