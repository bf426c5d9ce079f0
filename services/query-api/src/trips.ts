import { distanceMetres } from '@flasktoria/contracts/distance'
import type { Fix } from '@flasktoria/warehouse/queries-positions'

export type TripWishes = {
  /** A vehicle that stays within so many metres stands: receivers are not better. */
  radiusMetres: number
  /** Who stands for so long has stopped; for less, it is traffic. */
  stopMs: number
  /** Who stands for so long has arrived. */
  parkMs: number
  /** Who said nothing for longer was switched off. */
  gapMs: number
}

export type Stop = { lat: number; long: number; from: number; to: number }
export type Trip = {
  start: Fix
  end: Fix
  /** False: it had not arrived when the fixes ended. */
  hasEnded: boolean
  distanceMetres: number
  /** Without its stops. */
  movingMs: number
  stops: Stop[]
}

/** Where a vehicle stands, or may be about to: it has not left the radius around its first fix. */
type Stay = {
  anchor: Fix
  /** The last fix that was not outside. */
  last: Fix
  /** The way between the fixes inside, which is noise if it stands. */
  metres: number
  /** The last fix if it was outside; the next one will tell whether it was noise. */
  outside: Fix | undefined
}
type Journey = { start: Fix; distanceMetres: number; standingMs: number; stops: Stop[]; farthestMetres: number }
type State = { name: 'parked'; stay: Stay } | { name: 'under way'; journey: Journey; stay: Stay }

/** Whoever gets no further from where it started was pushed about by noise. In radiuses. */
const leastReach = 4

/**
 * Tells the trips of a vehicle from its fixes, which come in order of time.
 *
 *                  two fixes outside of the radius
 *     parked ────────────────────────────────────────► under way ──┐ two fixes outside of the radius: a stop
 *        ▲                                             │   │   ▲   │ if it stood for `stopMs`; stands anew
 *        │  stands for `parkMs`: arrived when it came  │   │   └───┘
 *        ├─────────────────────────────────────────────┘   │
 *        └─────────────────────────────────────────────────┘
 *           silent for `gapMs`: arrived at its last fix
 *
 * One fix outside is noise if the next one is inside again, and then belongs to nothing.
 */
export class TripDetector {
  readonly #wishes: TripWishes
  #state: State | undefined

  constructor(wishes: TripWishes) {
    this.#wishes = wishes
  }

  /** The trip that is over with this fix, if one is. */
  push(fix: Fix): Trip | undefined {
    const state = this.#state
    if (!state) return void (this.#state = parkedAt(fix))
    const previous = state.stay.outside ?? state.stay.last
    if (fix.timestamp - previous.timestamp > this.#wishes.gapMs) {
      this.#state = parkedAt(fix)
      return state.name === 'under way' ? this.#arrive(state.journey, state.stay, true) : undefined
    }
    if (this.#isWithin(state.stay.anchor, fix)) return this.#remain(state, fix)
    const { outside } = state.stay
    state.stay.outside = fix
    return outside ? this.#leave(state, outside, fix) : undefined
  }

  /** The trip that was under way at the last fix, if one was. */
  finish(): Trip | undefined {
    const state = this.#state
    this.#state = undefined
    return state?.name === 'under way' ? this.#arrive(state.journey, state.stay, false) : undefined
  }

  #isWithin(anchor: Fix, fix: Fix): boolean {
    return distanceMetres(anchor, fix) <= this.#wishes.radiusMetres
  }

  #remain(state: State, fix: Fix): Trip | undefined {
    const { stay } = state
    stay.metres += distanceMetres(stay.last, fix)
    stay.last = fix
    stay.outside = undefined
    if (state.name === 'parked' || stayedFor(stay) < this.#wishes.parkMs) return undefined
    this.#state = { name: 'parked', stay }
    return this.#arrive(state.journey, stay, true)
  }

  /** It has left where it stood, and may stand anew where it was first seen outside. */
  #leave(state: State, first: Fix, fix: Fix): undefined {
    const { stay } = state
    const journey =
      state.name === 'under way'
        ? state.journey
        : { start: stay.last, distanceMetres: 0, standingMs: 0, stops: [], farthestMetres: 0 }
    if (state.name === 'under way') this.#pass(journey, stay)
    journey.distanceMetres += distanceMetres(stay.last, first)
    reach(journey, first)
    const next: Stay = { anchor: first, last: first, metres: 0, outside: undefined }
    if (this.#isWithin(first, fix)) {
      next.last = fix
      next.metres = distanceMetres(first, fix)
    } else next.outside = fix
    this.#state = { name: 'under way', journey, stay: next }
  }

  /** Counts what a vehicle did within the radius: it stopped there, or drove through. */
  #pass(journey: Journey, stay: Stay): void {
    const { anchor, last } = stay
    if (stayedFor(stay) < this.#wishes.stopMs) {
      journey.distanceMetres += stay.metres
      return
    }
    journey.distanceMetres += distanceMetres(anchor, last)
    journey.standingMs += stayedFor(stay)
    journey.stops.push({ lat: anchor.lat, long: anchor.long, from: anchor.timestamp, to: last.timestamp })
  }

  #arrive(journey: Journey, stay: Stay, hasEnded: boolean): Trip | undefined {
    const { start, stops } = journey
    const stands = stayedFor(stay) >= this.#wishes.stopMs
    if (!stands) {
      journey.distanceMetres += stay.metres
      if (stay.outside) {
        journey.distanceMetres += distanceMetres(stay.last, stay.outside)
        reach(journey, stay.outside)
      }
    }
    const end = stands ? stay.anchor : (stay.outside ?? stay.last)
    if (journey.farthestMetres < leastReach * this.#wishes.radiusMetres) return undefined
    const movingMs = end.timestamp - start.timestamp - journey.standingMs
    return { start, end, hasEnded, distanceMetres: journey.distanceMetres, movingMs, stops }
  }
}

const parkedAt = (fix: Fix): State => ({
  name: 'parked',
  stay: { anchor: fix, last: fix, metres: 0, outside: undefined },
})

const stayedFor = ({ anchor, last }: Stay): number => last.timestamp - anchor.timestamp

function reach(journey: Journey, fix: Fix): void {
  journey.farthestMetres = Math.max(journey.farthestMetres, distanceMetres(journey.start, fix))
}
