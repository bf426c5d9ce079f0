import type { Bbox } from '@flasktoria/contracts/stream'

/** Degrees. */
export type Place = { readonly lat: number; readonly long: number }

/** A part of the map, its edges included. `width` goes east from `west`, so that the antimeridian is nothing special. */
export type Box = {
  /** -180 up to, but not, 180. */
  readonly west: number
  /** 0 to 360. */
  readonly width: number
  readonly south: number
  readonly north: number
}

const normal = (long: number) => long - 360 * Math.floor((long + 180) / 360)

export function createBox([west, south, east, north]: Bbox): Box {
  const width = east >= west ? Math.min(360, east - west) : normal(east) - normal(west)
  if (width === 360) return { west: -180, width, south, north }
  return { west: normal(west), width: width < 0 ? width + 360 : width, south, north }
}

/** How far east of the box's west edge, 0 to 360. */
const eastOf = ({ west }: Box, long: number) => {
  const distance = normal(long) - west
  return distance < 0 ? distance + 360 : distance
}

export function boxHolds(box: Box, { lat, long }: Place): boolean {
  if (lat < box.south || lat > box.north) return false
  // All meridians meet at the poles.
  return Math.abs(lat) === 90 || eastOf(box, long) <= box.width
}

const positionFields = /"lat":(-?[\d.]+(?:e[+-]?\d+)?),"long":(-?[\d.]+(?:e[+-]?\d+)?)[,}]/

/** Where a position update says that its vehicle is. The updates are written by ingest, with these fields in this order. */
export function placeIn(json: string): Place | undefined {
  const match = positionFields.exec(json)
  return match ? { lat: Number(match[1]), long: Number(match[2]) } : undefined
}
