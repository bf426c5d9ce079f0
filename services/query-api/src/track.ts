import type { Fix } from '@flasktoria/warehouse/queries-positions'
import { simplify } from './simplify.ts'

export type TrackWishes = {
  toleranceMetres: number
  /** At most so many points, whatever the tolerance then has to be. */
  maxPoints: number
  /** A vehicle that said nothing for longer has a gap in its track. */
  gapMs: number
}

/** Pieces without a gap, each of at least one point. */
export type Track = {
  segments: Fix[][]
  /** No fix lies further from the track. */
  toleranceMetres: number
  /** The first fix that found no room any more; undefined: all of them did. */
  cutAt: number | undefined
}

/** Fixes are simplified in pieces of so many, which bounds the time; the ends of pieces are kept at first. */
const pieceFixes = 1_024
/** So far a tolerance is raised that was too fine: the sum of all of them is what a fix may be off the line. */
const coarser = 2
const leastTolerance = 1

/**
 * The track of a vehicle, made of its fixes as they come, in order of time. Memory is bounded by `maxPoints`: whenever the
 * track has grown to twice of that, it is drawn more coarsely.
 */
export class TrackBuilder {
  readonly #wishes: TrackWishes
  #tolerance: number
  /** What a fix may be off the line. */
  #error: number
  readonly #segments: Fix[][] = []
  /** Fixes behind the last segment's last point, which is the first of them. */
  #piece: Fix[] = []
  #points = 0
  #last: Fix | undefined
  #cutAt: number | undefined

  constructor(wishes: TrackWishes) {
    this.#wishes = wishes
    this.#tolerance = wishes.toleranceMetres
    this.#error = wishes.toleranceMetres
  }

  /** False: there is no room for it, nor for any other. */
  push(fix: Fix): boolean {
    if (this.#cutAt !== undefined) return false
    const last = this.#last
    if (!last || fix.timestamp - last.timestamp > this.#wishes.gapMs) {
      this.#closePiece()
      if (!this.#hasRoom(2 * this.#wishes.maxPoints)) {
        this.#cutAt = fix.timestamp
        return false
      }
      this.#segments.push([fix])
      this.#points++
      this.#piece = [fix]
    } else {
      this.#piece.push(fix)
      if (this.#piece.length === pieceFixes) {
        this.#closePiece()
        this.#hasRoom(2 * this.#wishes.maxPoints)
      }
    }
    this.#last = fix
    return true
  }

  finish(): Track {
    this.#closePiece()
    this.#hasRoom(this.#wishes.maxPoints)
    const segments: Fix[][] = []
    let room = this.#wishes.maxPoints
    for (const segment of this.#segments) {
      if (segment.length > room) {
        this.#cutAt = segment[0]!.timestamp
        break
      }
      room -= segment.length
      segments.push(segment)
    }
    return { segments, toleranceMetres: this.#error, cutAt: this.#cutAt }
  }

  #closePiece(): void {
    const kept = simplify(this.#piece, this.#tolerance).slice(1)
    this.#segments.at(-1)?.push(...kept)
    this.#points += kept.length
    this.#piece = this.#piece.slice(-1)
  }

  /** Draws the track more coarsely until it has at most so many points, if that is possible. */
  #hasRoom(points: number): boolean {
    while (this.#points > points && this.#segments.some(({ length }) => length > 2)) {
      this.#tolerance = Math.max(leastTolerance, this.#tolerance * coarser)
      this.#error += this.#tolerance
      this.#points = 0
      for (const [index, segment] of this.#segments.entries()) {
        this.#segments[index] = inPieces(segment, this.#tolerance)
        this.#points += this.#segments[index].length
      }
    }
    return this.#points <= points
  }
}

function inPieces(fixes: readonly Fix[], toleranceMetres: number): Fix[] {
  const kept = fixes.slice(0, 1)
  for (let first = 0; first < fixes.length - 1; first += pieceFixes - 1)
    for (const fix of simplify(fixes.slice(first, first + pieceFixes), toleranceMetres).slice(1)) kept.push(fix)
  return kept
}
