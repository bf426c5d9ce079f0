import { placeAt } from './drive.ts'
import { Dice } from './random.ts'
import { RoadNetwork, type Place } from './road-network.ts'
import { drawShift, goTo, hourOf, isOnShift, liveOneSecond } from './simulator-day.ts'
import { brakingForce, measure, normalPressure, tirePressure, townTemperature } from './simulator-gauges.ts'
import { driving, parked, tireCount, toCustomer, Vehicles } from './simulator-vehicles.ts'
import { beginTrouble, drawTrouble, endTrouble, troubles } from './trouble.ts'

/** Hears what the vehicles of a fleet measure, in order. Vehicles are numbered from 0. */
export interface FleetListener {
  fix(vehicle: number, lat: number, long: number): void
  reading(vehicle: number, sensor: string, value: number, decimals: number): void
  word(vehicle: number, sensor: string, word: string): void
  anomaly(vehicle: number, sensor: string, anomalyId: number): void
}

export type FleetOptions = {
  vehicles: number
  seed: number
  /** How often a vehicle that is under way reports. */
  reportEverySeconds?: number
  /** The time of day in the town when it all begins. */
  beginHour?: number
}

/** How often something begins to go wrong with one vehicle: about every fifty minutes. */
const troublesPerVehicleSecond = 1 / 3_000
const firstTroubleAt = 3
const parkedReportsEverySeconds = 60
const tireSensors = Array.from({ length: tireCount }, (_, tire) => `pid_${201 + tire}_mode_1`)

/**
 * A fleet that works in a town. The same seed gives the same lives, on any machine, however fast it is asked for them: what
 * time it is elsewhere is no matter of its own.
 */
export class Fleet {
  /** It reports in turns, so that its records come evenly; a turn is never very long. */
  readonly turnsPerSecond: number
  readonly vehicles: Vehicles
  readonly roads: RoadNetwork
  readonly #reportEverySeconds: number
  readonly #beginHour: number
  readonly #luck: Dice
  readonly #place: Place = { lat: 0, long: 0 }
  #turn = 0

  constructor({ vehicles, seed, reportEverySeconds = 1, beginHour = 8 }: FleetOptions) {
    this.turnsPerSecond = vehicles > 10_000 ? 100 : 10
    this.#reportEverySeconds = reportEverySeconds
    this.#beginHour = beginHour
    this.#luck = new Dice(1, seed)
    this.roads = new RoadNetwork(vehicles, seed)
    this.vehicles = new Vehicles(vehicles, seed)
    for (let v = 0; v < vehicles; v++) this.#settle(v)
  }

  /** For how long it lives already. */
  get elapsedMs(): number {
    return (this.#turn * 1_000) / this.turnsPerSecond
  }

  /** The vehicles whose turn it is live one second. */
  nextTurn(listener: FleetListener): void {
    const { turnsPerSecond } = this
    const [second, first] = [Math.floor(this.#turn / turnsPerSecond), this.#turn % turnsPerSecond]
    const hour = hourOf(this.#beginHour, second)
    this.#turn += 1
    if (second === firstTroubleAt && first === 0) this.#makeSomethingHappen()
    for (let v = first; v < this.vehicles.count; v += turnsPerSecond) this.#live(v, second, hour, listener)
  }

  #settle(v: number): void {
    const { vehicles, roads } = this
    const { dice } = vehicles
    const direction = dice.integer(v, 4)
    const crossing = this.#crossingThatLeads(direction, v)
    drawShift(vehicles, v)
    vehicles.home[v] = roads.neighbour(crossing, direction)
    vehicles.fuel[v] = dice.between(v, 22, 96)
    vehicles.load[v] = dice.between(v, 0.2, 0.9)
    vehicles.chill[v] = dice.between(v, -1.5, 1.5)
    vehicles.ambient[v] = townTemperature(this.#beginHour) - vehicles.chill[v]
    vehicles.tireHeat[v] = vehicles.ambient[v] + 8
    for (let tire = 0; tire < tireCount; tire++)
      vehicles.coldPressure[v * tireCount + tire] = normalPressure + dice.between(v, -6, 6)
    placeAt(vehicles, v, roads, crossing, direction)
    if (!isOnShift(vehicles, v, this.#beginHour)) {
      vehicles.activity[v] = parked
      vehicles.metres[v] = vehicles.length[v]!
      vehicles.coolant[v] = vehicles.ambient[v] + dice.between(v, 5, 50)
      return
    }
    vehicles.activity[v] = driving
    vehicles.isEngineOn[v] = 1
    vehicles.coolant[v] = dice.between(v, 74, 92)
    vehicles.metres[v] = dice.between(v, 0, vehicles.length[v]! / 2)
    goTo(vehicles, v, roads, toCustomer)
  }

  #crossingThatLeads(direction: number, v: number): number {
    for (;;) {
      const crossing = this.vehicles.dice.integer(v, this.roads.crossings)
      if (this.roads.isOpen(crossing, direction)) return crossing
    }
  }

  /** One vehicle has trouble early, so that there is something to see soon. */
  #makeSomethingHappen(): void {
    const { vehicles } = this
    const first = this.#luck.integer(0, vehicles.count)
    for (let step = 0; step < vehicles.count; step++) {
      const v = (first + step) % vehicles.count
      if (vehicles.activity[v] === driving) return beginTrouble(vehicles, v, soonestTrouble)
    }
  }

  #live(v: number, second: number, hour: number, listener: FleetListener): void {
    const { vehicles, roads } = this
    if (vehicles.activity[v] === driving && vehicles.trouble[v] === 0)
      if (vehicles.dice.isLikely(v, troublesPerVehicleSecond)) beginTrouble(vehicles, v, drawTrouble(vehicles, v))
    const trouble = troubles[vehicles.trouble[v]! - 1]
    if (trouble) trouble.act(vehicles, v, ++vehicles.troubleSeconds[v]!)
    const wasParked = vehicles.activity[v] === parked
    liveOneSecond(vehicles, v, roads, second, hour)
    measure(vehicles, v, hour)
    const isPlain = trouble !== undefined && !vehicles.isReported[v] && trouble.isPlain(vehicles, v, roads)
    const isParked = vehicles.activity[v] === parked
    // Whatever changes much is reported at once, with all that belongs to it.
    if (isPlain || second === 0 || wasParked !== isParked) this.#reportAll(v, listener)
    else if (isDue(v, second, isParked ? parkedReportsEverySeconds : this.#reportEverySeconds))
      this.#report(v, second, isParked, listener)
    if (!trouble) return
    if (isPlain) listener.anomaly(v, trouble.sensor(vehicles, v), trouble.anomalyId)
    vehicles.isReported[v]! |= Number(isPlain)
    if (vehicles.troubleSeconds[v]! >= trouble.lastsSeconds) endTrouble(vehicles, v)
  }

  /** Fast sensors at each report, slow ones now and then. */
  #report(v: number, second: number, isParked: boolean, listener: FleetListener): void {
    if (isParked) return this.#reportAll(v, listener)
    this.#reportFast(v, listener)
    // Not every vehicle reports its slow sensors in the same second.
    const age = second + v
    if (age % 5 < this.#reportEverySeconds) this.#reportSlow(v, listener)
    if (age % 10 < this.#reportEverySeconds) this.#reportTires(v, listener)
  }

  #reportAll(v: number, listener: FleetListener): void {
    this.#reportFast(v, listener)
    this.#reportSlow(v, listener)
    this.#reportTires(v, listener)
  }

  #reportFast(v: number, listener: FleetListener): void {
    const { vehicles } = this
    const place = this.#place
    this.roads.locate(vehicles.crossing[v]!, vehicles.direction[v]!, vehicles.metres[v]!, place)
    listener.fix(v, place.lat, place.long)
    listener.reading(v, 'pid_13_mode_1', vehicles.speed[v]! * 3.6, 1)
    listener.reading(v, 'pid_12_mode_1', vehicles.rpm[v]!, 0)
    listener.reading(v, 'pid_205_mode_1', brakingForce(vehicles, v), 0)
  }

  #reportSlow(v: number, listener: FleetListener): void {
    const { fuel, coolant, ambient } = this.vehicles
    listener.reading(v, 'pid_47_mode_1', fuel[v]!, 2)
    listener.reading(v, 'pid_5_mode_1', coolant[v]!, 1)
    listener.reading(v, 'pid_70_mode_1', ambient[v]!, 1)
    listener.word(v, 'pid_200_mode_1', this.#gear(v))
  }

  #reportTires(v: number, listener: FleetListener): void {
    for (let tire = 0; tire < tireCount; tire++)
      listener.reading(v, tireSensors[tire]!, tirePressure(this.vehicles, v, tire), 1)
  }

  #gear(v: number): string {
    const { activity, speed, trouble } = this.vehicles
    if (activity[v] !== driving) return 'park'
    return speed[v]! > 0 || trouble[v] === 0 ? 'drive' : 'neutral'
  }
}

/** Its overheating is reported half a minute after it began. */
const soonestTrouble = troubles.findIndex(({ anomalyId }) => anomalyId === 4) + 1

const isDue = (v: number, second: number, everySeconds: number) => (second + v) % everySeconds === 0

/** `van-001`: as many digits as the fleet needs. */
export function vehicleNames(vehicles: number): string[] {
  const digits = Math.max(3, String(vehicles).length)
  return Array.from({ length: vehicles }, (_, v) => `van-${String(v + 1).padStart(digits, '0')}`)
}
