import { distanceMetres } from '@flasktoria/contracts/distance'
import type { Fix } from '@flasktoria/warehouse/queries-positions'

/** So far may a position be wrong by itself: tunnels, street canyons, a receiver that wakes up. */
const slackMetres = 1_000
/** Of no vehicle on the road. */
const maxMetresPerMs = 300 / 3_600

/**
 * Leaves out the fixes to which a vehicle cannot have come, as the live picture does: the history keeps them. One that the
 * next fix confirms was right: both are passed on. In order of time.
 */
export class PlausibleFixes {
  #place: Fix | undefined
  #suspect: Fix | undefined
  /** How many were left out. */
  leftOut = 0

  /** What is known to be right with this fix: none, itself, or the one before and itself. */
  take(fix: Fix): Fix[] {
    const suspect = this.#suspect
    if (!this.#place || isReachable(this.#place, fix)) {
      if (suspect) this.leftOut++
      this.#suspect = undefined
      this.#place = fix
      return [fix]
    }
    if (suspect && isReachable(suspect, fix)) {
      this.#suspect = undefined
      this.#place = fix
      return [suspect, fix]
    }
    if (suspect) this.leftOut++
    this.#suspect = fix
    return []
  }

  /** Nothing comes behind the last one that could confirm it. */
  end(): void {
    if (this.#suspect) this.leftOut++
    this.#suspect = undefined
  }
}

const isReachable = (from: Fix, to: Fix): boolean =>
  distanceMetres(from, to) <= slackMetres + maxMetresPerMs * (to.timestamp - from.timestamp)
