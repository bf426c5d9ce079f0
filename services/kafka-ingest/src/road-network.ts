import { scatter } from './random.ts'

/** Ways out of a crossing, in the order in which one turns left. */
export const east = 0
const north = 1
const west = 2
const south = 3
const directions = [east, north, west, south] as const

export const opposite = (direction: number): number => (direction + 2) % 4
const isAcross = (direction: number) => direction === east || direction === west

const centre = { lat: 40.4168, long: -3.7038 }
/** No sine or cosine anywhere: only what every machine computes to the last bit. */
const metresPerDegree = { lat: 111_320, long: 84_752 }
/** The network does not lie square to the compass, as no town does: turned by the angle of the 7-24-25 triangle. */
const turned = { cos: 0.96, sin: 0.28 }
const blockMetres = 180
/** How far a crossing lies from where a ruler would have put it. */
const crookedMetres = 22
/** Every so many streets there is an avenue, and of the avenues a through road. */
const avenueEvery = 4
const throughRoadEvery = 16
/** In m/s. */
const limits = { street: 40 / 3.6, avenue: 60 / 3.6, throughRoad: 90 / 3.6 }
/** Seconds: green across, all red, green along, all red. */
const signal = { cycle: 70, green: 32, clear: 3 }

export type Place = { lat: number; long: number }

/**
 * The roads of a town: crossings in crooked rows and columns, numbered row by row. A third of the streets that lead across is
 * cut; all that lead along still reach an avenue, so every crossing can be reached from every other one.
 */
export class RoadNetwork {
  readonly side: number
  readonly #across: Float64Array
  readonly #along: Float64Array
  /** A bit for each direction that one can leave in. */
  readonly #open: Uint8Array
  readonly #steps: readonly [number, number, number, number]

  /** As large as this many vehicles need to spread. */
  constructor(vehicles: number, seed: number) {
    const blocks = Math.min(256, Math.max(32, Math.ceil(Math.sqrt(vehicles))))
    this.side = Math.ceil(blocks / throughRoadEvery) * throughRoadEvery + 1
    this.#steps = [1, this.side, -1, -this.side]
    this.#across = new Float64Array(this.crossings)
    this.#along = new Float64Array(this.crossings)
    this.#open = new Uint8Array(this.crossings)
    for (let crossing = 0; crossing < this.crossings; crossing++) {
      const chance = scatter(seed ^ Math.imul(crossing, 2_654_435_761))
      this.#across[crossing] = (this.column(crossing) - (this.side - 1) / 2) * blockMetres + crooked(chance)
      this.#along[crossing] = (this.row(crossing) - (this.side - 1) / 2) * blockMetres + crooked(chance >>> 10)
      this.#lay(crossing, chance >>> 20)
    }
  }

  get crossings(): number {
    return this.side * this.side
  }

  row(crossing: number): number {
    return Math.floor(crossing / this.side)
  }

  column(crossing: number): number {
    return crossing % this.side
  }

  at(column: number, row: number): number {
    return clamped(row, this.side) * this.side + clamped(column, this.side)
  }

  isOpen(crossing: number, direction: number): boolean {
    return (this.#open[crossing]! & (1 << direction)) !== 0
  }

  neighbour(crossing: number, direction: number): number {
    return crossing + this.#steps[direction]!
  }

  /** Metres to the neighbour. */
  length(crossing: number, direction: number): number {
    const to = this.neighbour(crossing, direction)
    const across = this.#across[to]! - this.#across[crossing]!
    const along = this.#along[to]! - this.#along[crossing]!
    return Math.sqrt(across * across + along * along)
  }

  /** In m/s. */
  limit(crossing: number, direction: number): number {
    const line = isAcross(direction) ? this.row(crossing) : this.column(crossing)
    if (line % throughRoadEvery === 0) return limits.throughRoad
    return line % avenueEvery === 0 ? limits.avenue : limits.street
  }

  /** Whether one who drives in this direction may pass the crossing. All who come from there see the same light. */
  isGreen(crossing: number, direction: number, second: number): boolean {
    if (!this.#hasSignal(crossing)) return true
    const phase = (second + (scatter(crossing) % signal.cycle)) % signal.cycle
    const since = isAcross(direction) ? phase : phase - signal.green - signal.clear
    return since >= 0 && since < signal.green
  }

  /** The filling station of this quarter, which is eight blocks wide. */
  nearestStation(crossing: number): number {
    const next = (line: number) => Math.floor(Math.min(line, this.side - 2) / 8) * 8 + 4
    return this.at(next(this.column(crossing)), next(this.row(crossing)))
  }

  isStation(crossing: number): boolean {
    return this.column(crossing) % 8 === 4 && this.row(crossing) % 8 === 4
  }

  /** Where one is who drove so many metres from a crossing. */
  locate(crossing: number, direction: number, metres: number, place: Place): void {
    const part = metres / this.length(crossing, direction)
    const to = this.neighbour(crossing, direction)
    const across = this.#across[crossing]! + (this.#across[to]! - this.#across[crossing]!) * part
    const along = this.#along[crossing]! + (this.#along[to]! - this.#along[crossing]!) * part
    place.lat = centre.lat + (across * turned.sin + along * turned.cos) / metresPerDegree.lat
    place.long = centre.long + (across * turned.cos - along * turned.sin) / metresPerDegree.long
  }

  #hasSignal(crossing: number): boolean {
    const isAvenue = this.row(crossing) % avenueEvery === 0
    const isAvenueAlong = this.column(crossing) % avenueEvery === 0
    return (isAvenue && isAvenueAlong) || ((isAvenue || isAvenueAlong) && scatter(crossing) % 3 === 0)
  }

  #lay(crossing: number, chance: number): void {
    const isCut = this.row(crossing) % avenueEvery !== 0 && chance % 3 === 0
    for (const direction of [east, north] as const) {
      const isInside = direction === east ? this.column(crossing) < this.side - 1 : this.row(crossing) < this.side - 1
      if (!isInside || (direction === east && isCut)) continue
      this.#open[crossing]! |= 1 << direction
      this.#open[this.neighbour(crossing, direction)]! |= 1 << opposite(direction)
    }
  }
}

/**
 * Where to go on to at `crossing`, having come in `direction`: nearer to the destination, straight on if that is as good, and
 * now and then another way, so that nobody is caught. Never back.
 */
export function nextDirection(
  roads: RoadNetwork,
  crossing: number,
  direction: number,
  destination: number,
  chance: number,
): number {
  const across = roads.column(destination) - roads.column(crossing)
  const along = roads.row(destination) - roads.row(crossing)
  const leadsThere = [across > 0, along > 0, across < 0, along < 0]
  const rank = (way: number) => (leadsThere[way] ? 2 : 0) + (way === direction ? 1 : 0)
  const ways = directions.filter((way) => way !== opposite(direction) && roads.isOpen(crossing, way))
  if (chance < 0.05) return ways[Math.floor(chance * 20 * ways.length)]!
  let best = ways[0]!
  for (const way of ways) if (rank(way) > rank(best)) best = way
  return best
}

const crooked = (chance: number) => ((chance & 0x3ff) / 0x3ff - 0.5) * 2 * crookedMetres
const clamped = (line: number, side: number) => Math.min(side - 1, Math.max(0, line))
