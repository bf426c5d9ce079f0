import { earthRadiusMetres } from '@flasktoria/contracts/distance'
import type { Fix } from '@flasktoria/warehouse/queries-positions'

const metresPerDegree = (earthRadiusMetres * Math.PI) / 180

/** The short way round: across the antimeridian, if that is it. */
const eastward = (from: number, to: number): number => {
  const degrees = to - from
  return degrees > 180 ? degrees - 360 : degrees < -180 ? degrees + 360 : degrees
}

/** How far a fix lies from the straight way between two others, in metres, on the plane around the first of them. */
export function metresFromLine(fix: Fix, from: Fix, to: Fix): number {
  const shrink = Math.cos((from.lat * Math.PI) / 180)
  const x = eastward(from.long, fix.long) * shrink
  const y = fix.lat - from.lat
  const dx = eastward(from.long, to.long) * shrink
  const dy = to.lat - from.lat
  const length = dx * dx + dy * dy
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, (x * dx + y * dy) / length))
  return Math.hypot(x - along * dx, y - along * dy) * metresPerDegree
}

/**
 * Leaves out fixes (Douglas–Peucker) so that none of them lies further than the tolerance from the line that is left. Keeps
 * the first and the last one, and their order. Square in time at worst: for pieces of a track, not for a year of it.
 */
export function simplify(fixes: readonly Fix[], toleranceMetres: number): Fix[] {
  if (fixes.length <= 2) return [...fixes]
  const isKept = new Uint8Array(fixes.length)
  isKept[0] = isKept[fixes.length - 1] = 1
  const open: [first: number, last: number][] = [[0, fixes.length - 1]]
  for (let piece = open.pop(); piece; piece = open.pop()) {
    const [first, last] = piece
    let [farthest, metres] = [0, toleranceMetres]
    for (let index = first + 1; index < last; index++) {
      const distance = metresFromLine(fixes[index]!, fixes[first]!, fixes[last]!)
      if (distance > metres) [farthest, metres] = [index, distance]
    }
    if (farthest === 0) continue
    isKept[farthest] = 1
    open.push([first, farthest], [farthest, last])
  }
  return fixes.filter((_, index) => isKept[index] === 1)
}
