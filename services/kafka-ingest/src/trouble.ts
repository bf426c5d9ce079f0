import type { RoadNetwork } from './road-network.ts'
import { brakingForce, idleRpm, tirePressure } from './simulator-gauges.ts'
import { freely, panicking, pullingOver, tireCount, type Vehicles } from './simulator-vehicles.ts'

/**
 * Something that goes wrong with a vehicle: it shows in the gauges first, then is an anomaly of the catalogue, then passes.
 * `act` is called once a second, before the vehicle lives it, and `isPlain` after it.
 */
type Trouble = {
  anomalyId: number
  /** The sensor that shows it best. */
  sensor: (vehicles: Vehicles, v: number) => string
  lastsSeconds: number
  act: (vehicles: Vehicles, v: number, second: number) => void
  isPlain: (vehicles: Vehicles, v: number, roads: RoadNetwork) => boolean
}

/** `tally` is the tire. */
const flatTire: Trouble = {
  anomalyId: 0,
  sensor: ({ tally }, v) => `pid_${201 + tally[v]!}_mode_1`,
  lastsSeconds: 150,
  act: ({ tally, coldPressure, haste, dice }, v, second) => {
    if (second === 1) tally[v] = dice.integer(v, tireCount)
    const tire = v * tireCount + tally[v]!
    coldPressure[tire] = Math.max(140, coldPressure[tire]! - 1.6)
    haste[v] = coldPressure[tire] < 180 ? 0.6 : 1
  },
  isPlain: (vehicles, v) => tirePressure(vehicles, v, vehicles.tally[v]!) < 185,
}

/** `tally` counts seconds of hard braking. */
const panicBraking: Trouble = {
  anomalyId: 1,
  sensor: () => 'pid_205_mode_1',
  lastsSeconds: 240,
  act: ({ speed, order, haste, lastAt }, v, second) => {
    if (second === 1) lastAt[v] = -10
    const kmh = speed[v]! * 3.6
    const since = second - lastAt[v]!
    const isPanicking = (kmh > 36 && since > 6) || (since < 2 && kmh > 5)
    if (isPanicking && since >= 2) lastAt[v] = second
    order[v] = isPanicking ? panicking : freely
    haste[v] = 1.15
  },
  isPlain: (vehicles, v) => {
    if (brakingForce(vehicles, v) > 80) vehicles.tally[v]! += 1
    return vehicles.tally[v]! >= 3
  },
}

/** `tally` counts seconds that it was too fast. */
const carelessDriving: Trouble = {
  anomalyId: 2,
  sensor: () => 'pid_13_mode_1',
  lastsSeconds: 200,
  act: ({ haste, ambient }, v, second) => {
    // Sleet comes down first.
    ambient[v] = Math.max(0.5, ambient[v]! - Math.min(0.6, second * 0.05))
    haste[v] = second > 15 ? 1.7 : 1
  },
  isPlain: ({ crossing, direction, speed, ambient, tally }, v, roads) => {
    if (ambient[v]! < 3 && speed[v]! > roads.limit(crossing[v]!, direction[v]!) * 1.2) tally[v]! += 1
    return tally[v]! >= 5
  },
}

/** `tally` is what it lost. */
const fuelLeak: Trouble = {
  anomalyId: 3,
  sensor: () => 'pid_47_mode_1',
  lastsSeconds: 90,
  act: ({ fuel, tally, coldPressure }, v, second) => {
    fuel[v] = Math.max(1, fuel[v]! - 0.15)
    tally[v]! += 0.15
    if (second < 20) for (let tire = v * tireCount; tire < (v + 1) * tireCount; tire++) coldPressure[tire]! -= 0.6
  },
  isPlain: ({ tally }, v) => tally[v]! > 7,
}

const overheating: Trouble = {
  anomalyId: 4,
  sensor: () => 'pid_5_mode_1',
  lastsSeconds: 100,
  act: ({ coolant, order }, v, second) => {
    // Once it boils the driver pulls over.
    order[v] = second > 50 ? pullingOver : freely
    coolant[v] = second > 50 ? coolant[v]! - 0.5 : Math.min(119, coolant[v]! + 0.9)
  },
  isPlain: ({ coolant }, v) => coolant[v]! > 112,
}

/** `tally` counts seconds. */
const idling: Trouble = {
  anomalyId: 5,
  sensor: () => 'pid_12_mode_1',
  lastsSeconds: 110,
  act: ({ order }, v) => {
    order[v] = pullingOver
  },
  isPlain: ({ speed, rpm, tally }, v) => {
    if (speed[v] === 0 && rpm[v]! > idleRpm / 2) tally[v]! += 1
    return tally[v]! >= 60
  },
}

export const troubles: readonly Trouble[] = [flatTire, panicBraking, carelessDriving, fuelLeak, overheating, idling]

/** Place in the list of something that may happen now, counted from 1. */
export const drawTrouble = ({ dice, fuel }: Vehicles, v: number): number => {
  const drawn = dice.integer(v, troubles.length)
  return (troubles[drawn] === fuelLeak && fuel[v]! < 35 ? troubles.indexOf(flatTire) : drawn) + 1
}

/** From the next second on. */
export function beginTrouble(vehicles: Vehicles, v: number, trouble: number): void {
  vehicles.trouble[v] = trouble
  vehicles.troubleSeconds[v] = 0
  vehicles.isReported[v] = 0
  vehicles.tally[v] = 0
}

export function endTrouble(vehicles: Vehicles, v: number): void {
  vehicles.trouble[v] = 0
  vehicles.order[v] = freely
  vehicles.haste[v] = 1
}
