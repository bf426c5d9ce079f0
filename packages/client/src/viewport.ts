import type { Bbox } from '@flasktoria/contracts/stream'

export type Place = { lat: number; long: number }
export type Point = { x: number; y: number }

/**
 * The part of the earth that a map shows. Equirectangular, true to scale at its centre: a box of degrees is a rectangle, so
 * that the map subscribes to exactly what it draws.
 */
export type Viewport = { centre: Place; degreesPerPixel: number; width: number; height: number }

const margin = 24
const closest = 1e-6
const largestLat = 85

export const project = ({ centre, degreesPerPixel, width, height }: Viewport, { lat, long }: Place): Point => ({
  x: width / 2 + (turned(long - centre.long) * squeeze(centre)) / degreesPerPixel,
  y: height / 2 - (lat - centre.lat) / degreesPerPixel,
})

export const placeAt = ({ centre, degreesPerPixel, width, height }: Viewport, { x, y }: Point): Place => ({
  lat: centre.lat - (y - height / 2) * degreesPerPixel,
  long: centre.long + ((x - width / 2) * degreesPerPixel) / squeeze(centre),
})

/** As if the map were dragged by so many pixels. */
export function panned(viewport: Viewport, { x, y }: Point): Viewport {
  const { lat, long } = placeAt(viewport, { x: viewport.width / 2 - x, y: viewport.height / 2 - y })
  return { ...viewport, centre: { lat: clamp(lat, -largestLat, largestLat), long: turned(long) } }
}

/** What lies at a point stays there; `factor` 2 shows it twice as large. */
export function zoomed(viewport: Viewport, factor: number, at: Point): Viewport {
  const { width, height, centre } = viewport
  const wholeEarth = (360 * squeeze(centre)) / Math.max(width, 1)
  const degreesPerPixel = clamp(viewport.degreesPerPixel / factor, closest, wholeEarth)
  const kept = 1 - degreesPerPixel / viewport.degreesPerPixel
  const shift = { x: (width / 2 - at.x) * kept, y: (height / 2 - at.y) * kept }
  return { ...panned(viewport, shift), degreesPerPixel, width, height }
}

/** Shows all of these places. They lie on one side of the antimeridian, or the map is as wide as the earth. */
export function fitted(places: readonly Place[], width: number, height: number): Viewport {
  const [south, north] = range(places.map(({ lat }) => lat))
  const [west, east] = range(places.map(({ long }) => long))
  const centre = { lat: (south + north) / 2, long: (west + east) / 2 }
  const degreesPerPixel = Math.max(
    ((east - west) * squeeze(centre)) / Math.max(width - 2 * margin, 1),
    (north - south) / Math.max(height - 2 * margin, 1),
  )
  return { centre, degreesPerPixel: degreesPerPixel || 1e-4, width, height }
}

/** What the viewport shows, for a subscription. */
export function boxOf(viewport: Viewport): Bbox {
  const { lat: north, long: west } = placeAt(viewport, { x: 0, y: 0 })
  const { lat: south, long: east } = placeAt(viewport, { x: viewport.width, y: viewport.height })
  const [bottom, top] = [clamp(south, -90, 90), clamp(north, -90, 90)]
  return east - west > 360 - 1e-9 ? [-180, bottom, 180, top] : [west, bottom, east, top]
}

/** A degree of longitude is so much shorter than one of latitude. */
const squeeze = ({ lat }: Place) => Math.cos((clamp(lat, -largestLat, largestLat) * Math.PI) / 180)
/** −180 ≤ degrees < 180 */
const turned = (degrees: number) => ((((degrees + 180) % 360) + 360) % 360) - 180
const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value))
const range = (values: readonly number[]): [number, number] =>
  values.length === 0
    ? [0, 0]
    : values.reduce<[number, number]>(
        ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
        [Infinity, -Infinity],
      )
