/** Degrees. */
export type Place = { readonly lat: number; readonly long: number }

/** The mean radius. */
export const earthRadiusMetres = 6_371_000
const radians = Math.PI / 180

/** On a sphere (haversine): within half a percent of the earth. */
export function distanceMetres(a: Place, b: Place): number {
  const halfLat = Math.sin(((b.lat - a.lat) * radians) / 2)
  const halfLong = Math.sin(((b.long - a.long) * radians) / 2)
  const chord = halfLat * halfLat + Math.cos(a.lat * radians) * Math.cos(b.lat * radians) * halfLong * halfLong
  return 2 * earthRadiusMetres * Math.asin(Math.min(1, Math.sqrt(chord)))
}
