import { chooseWay, drive } from './drive.ts'
import type { RoadNetwork } from './road-network.ts'
import {
  delivering,
  driving,
  parked,
  refuelling,
  toCustomer,
  toHome,
  toStation,
  type Vehicles,
} from './simulator-vehicles.ts'

/** In % of the tank. */
const lowFuel = 18
const litresPerSecond = 0.6
const tankLitres = 60
const roundBlocks = 10
/** A stop that is over sooner is not worth switching the engine off. */
const switchesOffAfter = 15

export const hourOf = (beginHour: number, second: number): number => (beginHour + second / 3_600) % 24

/** On the road from its depot by day; some, by night. */
export function drawShift(vehicles: Vehicles, v: number): void {
  const { dice, shiftBegin, shiftHours } = vehicles
  const isByNight = dice.isLikely(v, 0.08)
  shiftBegin[v] = isByNight ? dice.between(v, 20, 22) : dice.between(v, 5, 7.5)
  shiftHours[v] = isByNight ? dice.between(v, 7, 9) : dice.between(v, 9, 14)
}

export const isOnShift = ({ shiftBegin, shiftHours }: Vehicles, v: number, hour: number): boolean =>
  (hour - shiftBegin[v]! + 24) % 24 < shiftHours[v]!

/**
 * One second of a vehicle's day.
 *
 *     parked ──shift begins──► driving ──at a customer's──► delivering ─┐
 *       ▲                       │ ▲ │                                  │
 *       └──at home, shift over──┘ │ └──at a station──► refuelling ─────┤
 *                                 └────────────────────────────────────┘
 */
export function liveOneSecond(vehicles: Vehicles, v: number, roads: RoadNetwork, second: number, hour: number): void {
  switch (vehicles.activity[v]!) {
    case driving:
      if (vehicles.fuel[v]! < lowFuel && vehicles.errand[v] !== toStation) goTo(vehicles, v, roads, toStation)
      if (drive(vehicles, v, roads, second)) arrive(vehicles, v)
      break
    case parked:
      if (isOnShift(vehicles, v, hour)) {
        vehicles.load[v] = vehicles.dice.between(v, 0.6, 1)
        leave(vehicles, v, roads, hour)
      }
      break
    case refuelling:
      vehicles.fuel[v] = Math.min(98, vehicles.fuel[v]! + (litresPerSecond / tankLitres) * 100)
      if (vehicles.fuel[v] === 98) leave(vehicles, v, roads, hour)
      break
    default:
      stand(vehicles, v)
      if (vehicles.standsFor[v] === 0) leave(vehicles, v, roads, hour)
  }
}

function stand({ standsFor, isEngineOn, speed, deceleration }: Vehicles, v: number): void {
  speed[v] = 0
  deceleration[v] = 0
  standsFor[v]! -= 1
  // What is left of a stop decides: its last seconds are those of the engine starting.
  isEngineOn[v] = standsFor[v]! < 3 ? 1 : isEngineOn[v]!
}

function arrive(vehicles: Vehicles, v: number): void {
  const { activity, errand, standsFor, isEngineOn, load, dice } = vehicles
  vehicles.deceleration[v] = 0
  if (errand[v] === toHome) activity[v] = parked
  else if (errand[v] === toStation) activity[v] = refuelling
  else {
    activity[v] = delivering
    standsFor[v] = Math.round(dice.isLikely(v, 0.3) ? dice.between(v, 10, 40) : dice.between(v, 40, 300))
    load[v] = Math.max(0, load[v]! - dice.between(v, 0.02, 0.15))
  }
  isEngineOn[v] = activity[v] === delivering && standsFor[v]! <= switchesOffAfter ? 1 : 0
}

function leave(vehicles: Vehicles, v: number, roads: RoadNetwork, hour: number): void {
  vehicles.activity[v] = driving
  vehicles.isEngineOn[v] = 1
  if (!isOnShift(vehicles, v, hour)) goTo(vehicles, v, roads, toHome)
  else if (vehicles.fuel[v]! < lowFuel + 5) goTo(vehicles, v, roads, toStation)
  else goTo(vehicles, v, roads, toCustomer)
}

export function goTo(vehicles: Vehicles, v: number, roads: RoadNetwork, errand: number): void {
  vehicles.errand[v] = errand
  vehicles.destination[v] = destinationOf(vehicles, v, roads, errand)
  chooseWay(vehicles, v, roads)
}

function destinationOf(
  { dice, crossing, direction, home }: Vehicles,
  v: number,
  roads: RoadNetwork,
  errand: number,
): number {
  const here = roads.neighbour(crossing[v]!, direction[v]!)
  if (errand === toHome) return home[v]!
  if (errand === toStation) return roads.nearestStation(here)
  const near = () => dice.integer(v, 2 * roundBlocks + 1) - roundBlocks
  return roads.at(roads.column(here) + near(), roads.row(here) + near())
}
