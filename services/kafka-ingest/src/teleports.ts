import { distanceMetres } from '@flasktoria/contracts/distance'
import type { Interpreter } from './interpret.ts'
import { RecentMap } from './recent-map.ts'
import type { Fix } from './validate.ts'

/** So far may a position be wrong by itself: tunnels, street canyons, a receiver that wakes up. */
const slackMetres = 1_000
/** Surely nearer than the slack, in degrees. */
const near = 0.006
const maxVehicles = 100_000

type Place = { ts: number; lat: number; long: number }
type Vehicle = {
  /** The newest place that we believe. */
  place: Place
  /** A newer one that it could not have reached, and that the next fix may confirm. */
  suspect: Place | undefined
}

/**
 * Tells the fixes of vehicles that cannot have come there.
 *
 *     no place ─► at a place ──── unreachable ───► at a place, with a suspect ── reachable from the suspect, and later ─┐
 *                   ▲   ▲                                    │                                                         │
 *                   │   └────────── reachable from the place ┘                                                         │
 *                   └──────────────────────────── the suspect was right: at the new place ◄────────────────────────────┘
 *
 * So one wrong position is refused, and a vehicle that was shipped, or whose first position was wrong, is back with its second
 * fix. Event time decides, whichever fix arrives first: late fixes are judged like others, and neither move a vehicle nor
 * confirm anything.
 */
export class Teleports {
  readonly #metresPerMs: number
  readonly #vehicles: RecentMap<Vehicle>

  constructor(maxSpeedKmh: number, capacity = maxVehicles) {
    this.#metresPerMs = maxSpeedKmh / 3_600
    this.#vehicles = new RecentMap(capacity)
  }

  /** Whether the vehicle cannot have come there. */
  has(fix: Fix): boolean {
    const vehicle = this.#vehicles.get(fix.vehicle)
    if (!vehicle) {
      this.#vehicles.set(fix.vehicle, { place: placeOf(fix), suspect: undefined })
      return false
    }
    const { place, suspect } = vehicle
    const isNewer = fix.ts >= place.ts
    if (this.#isReachable(place, fix)) {
      if (isNewer) moveTo(vehicle, fix)
      return false
    }
    if (!isNewer) return true
    if (suspect && fix.ts > suspect.ts && this.#isReachable(suspect, fix)) {
      moveTo(vehicle, fix)
      return false
    }
    // The earlier one is as good a witness, and the same record may come again: it does not confirm itself.
    if (!suspect || fix.ts > suspect.ts) vehicle.suspect = placeOf(fix)
    return true
  }

  #isReachable(from: Place, to: Place): boolean {
    // Meridians are never further apart than at the equator.
    if (Math.abs(from.lat - to.lat) < near && Math.abs(from.long - to.long) < near) return true
    return distanceMetres(from, to) <= slackMetres + this.#metresPerMs * Math.abs(to.ts - from.ts)
  }
}

/** An interpreter for those who show where vehicles are now: it refuses teleports too. */
export function refusingTeleports(interpret: Interpreter, maxSpeedKmh: number): Interpreter {
  const teleports = new Teleports(maxSpeedKmh)
  return (raw, now) => {
    const interpreted = interpret(raw, now)
    if (!interpreted.ok || interpreted.fact.kind !== 'fix' || !teleports.has(interpreted.fact)) return interpreted
    return { ok: false, reason: 'teleport' }
  }
}

const placeOf = ({ ts, lat, long }: Fix): Place => ({ ts, lat, long })

function moveTo(vehicle: Vehicle, { ts, lat, long }: Fix): void {
  const { place } = vehicle
  place.ts = ts
  place.lat = lat
  place.long = long
  vehicle.suspect = undefined
}
