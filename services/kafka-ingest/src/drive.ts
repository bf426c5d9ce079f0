import { nextDirection, type RoadNetwork } from './road-network.ts'
import { panicking, pullingOver, type Vehicles } from './simulator-vehicles.ts'

/** m/s². */
const acceleration = 1.8
const comfortableBraking = 2.2
const firmBraking = 3.1
const hardBraking = 7.4
const turningSpeed = 15 / 3.6
/** The last metres to a stop line. */
const creepingSpeed = 0.8
/** However much in a hurry. */
export const topSpeed = 130 / 3.6

/** One second of driving. True: it stands at its destination. */
export function drive(vehicles: Vehicles, v: number, roads: RoadNetwork, second: number): boolean {
  const before = vehicles.speed[v]!
  const hasArrived = roll(vehicles, v, roads, second)
  vehicles.deceleration[v] = Math.max(0, before - vehicles.speed[v]!)
  return hasArrived
}

function roll(vehicles: Vehicles, v: number, roads: RoadNetwork, second: number): boolean {
  if (vehicles.order[v] !== pullingOver && isAtCrossing(vehicles, v)) {
    const hasArrived = isDestination(vehicles, v, roads)
    if (hasArrived || isRed(vehicles, v, roads, second)) {
      vehicles.speed[v] = 0
      return hasArrived
    }
    enterNextBlock(vehicles, v, roads)
  }
  const mustStop = (isDestination(vehicles, v, roads) || isRed(vehicles, v, roads, second)) && canStop(vehicles, v)
  const speed = speedOf(vehicles, v, roads, mustStop)
  vehicles.speed[v] = speed
  vehicles.metres[v]! += speed
  const beyond = vehicles.metres[v]! - vehicles.length[v]!
  if (beyond < 0) return false
  vehicles.metres[v] = vehicles.length[v]!
  if (mustStop) return false
  enterNextBlock(vehicles, v, roads)
  vehicles.metres[v] = beyond
  return false
}

function speedOf(vehicles: Vehicles, v: number, roads: RoadNetwork, mustStop: boolean): number {
  const speed = vehicles.speed[v]!
  if (vehicles.order[v] === panicking) return Math.max(0, speed - hardBraking)
  if (vehicles.order[v] === pullingOver) return Math.max(0, speed - firmBraking)
  const remaining = vehicles.length[v]! - vehicles.metres[v]!
  const atCrossing = mustStop ? 0 : speedAtCrossing(vehicles, v, roads)
  // So that behind this second there is still room to brake.
  const b = comfortableBraking
  const inTime = Math.sqrt(b * b + atCrossing * atCrossing + 2 * b * remaining) - b
  const limit = speedLimit(vehicles, v, roads, vehicles.crossing[v]!, vehicles.direction[v]!)
  const wanted = Math.min(limit, inTime, speed + acceleration * (1.1 - 0.5 * vehicles.load[v]!))
  // Nobody slows down faster than brakes and comfort allow, but for the last metre.
  return Math.max(wanted, speed - firmBraking, creepingSpeed)
}

/** As this driver takes it, m/s. */
const speedLimit = (vehicles: Vehicles, v: number, roads: RoadNetwork, crossing: number, direction: number): number =>
  Math.min(roads.limit(crossing, direction) * vehicles.haste[v]!, topSpeed)

function speedAtCrossing(vehicles: Vehicles, v: number, roads: RoadNetwork): number {
  const next = vehicles.nextDirection[v]!
  return next === vehicles.direction[v]
    ? speedLimit(vehicles, v, roads, crossingAhead(vehicles, v, roads), next)
    : turningSpeed
}

const crossingAhead = (vehicles: Vehicles, v: number, roads: RoadNetwork): number =>
  roads.neighbour(vehicles.crossing[v]!, vehicles.direction[v]!)

const isAtCrossing = ({ metres, length }: Vehicles, v: number): boolean => metres[v] === length[v]

const isDestination = (vehicles: Vehicles, v: number, roads: RoadNetwork): boolean =>
  crossingAhead(vehicles, v, roads) === vehicles.destination[v]

const isRed = (vehicles: Vehicles, v: number, roads: RoadNetwork, second: number): boolean =>
  !roads.isGreen(crossingAhead(vehicles, v, roads), vehicles.direction[v]!, second)

/** Who can't any more drives on, as with an amber light; a destination that was missed is driven to again. */
function canStop({ metres, length, speed }: Vehicles, v: number): boolean {
  return speed[v]! <= firmBraking || length[v]! - metres[v]! >= (speed[v]! * speed[v]!) / (2 * firmBraking)
}

function enterNextBlock(vehicles: Vehicles, v: number, roads: RoadNetwork): void {
  const crossing = crossingAhead(vehicles, v, roads)
  placeAt(vehicles, v, roads, crossing, vehicles.nextDirection[v]!)
}

/** At the begin of a block. */
export function placeAt(vehicles: Vehicles, v: number, roads: RoadNetwork, crossing: number, direction: number): void {
  vehicles.crossing[v] = crossing
  vehicles.direction[v] = direction
  vehicles.metres[v] = 0
  vehicles.length[v] = roads.length(crossing, direction)
  chooseWay(vehicles, v, roads)
}

/** For a new block, or a new destination. */
export function chooseWay(vehicles: Vehicles, v: number, roads: RoadNetwork): void {
  const chance = vehicles.dice.next(v)
  const [ahead, direction] = [crossingAhead(vehicles, v, roads), vehicles.direction[v]!]
  vehicles.nextDirection[v] = nextDirection(roads, ahead, direction, vehicles.destination[v]!, chance)
}
