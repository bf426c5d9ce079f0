import type { Random } from './random.ts'

/** A crossing of the network: columns to the east, rows to the north, 0,0 in the middle of the town. */
export type Crossing = { column: number; row: number }

const centre = { lat: 40.4168, long: -3.7038 }
const blockMetres = 180
const reach = 16
/** The network does not lie square to the compass, as no town does. */
const turn = (17 * Math.PI) / 180
const metresPerDegree = 111_320
/** Every so many streets there is an avenue. */
const avenueEvery = 4

export const blockLength = blockMetres

export const anyCrossing = (random: Random): Crossing => ({
  column: random.integer(2 * reach + 1) - reach,
  row: random.integer(2 * reach + 1) - reach,
})

/** Where to go from `at`, having come from `from`: mostly straight on, never back. */
export function nextCrossing(from: Crossing, at: Crossing, random: Random): Crossing {
  const straight = { column: 2 * at.column - from.column, row: 2 * at.row - from.row }
  const turns = [
    { column: at.column + 1, row: at.row },
    { column: at.column - 1, row: at.row },
    { column: at.column, row: at.row + 1 },
    { column: at.column, row: at.row - 1 },
  ].filter((to) => isInside(to) && !isSameCrossing(to, from) && !isSameCrossing(to, straight))
  const goesStraight = isInside(straight) && !isSameCrossing(straight, at) && random.isLikely(0.7)
  return goesStraight ? straight : random.pick(turns)
}

export const isTurn = (from: Crossing, at: Crossing, to: Crossing): boolean =>
  at.column - from.column !== to.column - at.column || at.row - from.row !== to.row - at.row

/** In km/h. */
export function speedLimit(from: Crossing, to: Crossing): number {
  const line = from.row === to.row ? from.row : from.column
  return line % avenueEvery === 0 ? 70 : 45
}

/** The place between two crossings, `metres` from the first. */
export function placeBetween(from: Crossing, to: Crossing, metres: number): { lat: number; long: number } {
  const part = metres / blockMetres
  const across = (from.column + (to.column - from.column) * part) * blockMetres
  const along = (from.row + (to.row - from.row) * part) * blockMetres
  const east = across * Math.cos(turn) - along * Math.sin(turn)
  const north = across * Math.sin(turn) + along * Math.cos(turn)
  return {
    lat: centre.lat + north / metresPerDegree,
    long: centre.long + east / (metresPerDegree * Math.cos((centre.lat * Math.PI) / 180)),
  }
}

const isInside = ({ column, row }: Crossing) => Math.abs(column) <= reach && Math.abs(row) <= reach
const isSameCrossing = (a: Crossing, b: Crossing) => a.column === b.column && a.row === b.row
