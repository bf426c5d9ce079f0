import { tireCount, type Vehicles } from './simulator-vehicles.ts'

export const idleRpm = 800
export const normalPressure = 235
const warmCoolant = 89
/** Where the automatic gearbox shifts, km/h. */
const shifts = [0, 14, 28, 45, 66, 95, 140] as const
/** m/s². */
const fullBraking = 9
const tankLitres = 60

/** In % of what the brakes can do. */
export const brakingForce = ({ deceleration }: Vehicles, v: number): number =>
  Math.min(100, (deceleration[v]! / fullBraking) * 100)

/** What a gauge at the tire shows, kPa: more when it is hot, as any gas in a closed room. */
export const tirePressure = ({ coldPressure, tireHeat }: Vehicles, v: number, tire: number): number =>
  coldPressure[v * tireCount + tire]! * ((273 + tireHeat[v]!) / 293)

/** Coldest at three in the night, warmest at three in the afternoon, °C. */
export function townTemperature(hour: number): number {
  const fromNoon = ((hour + 21) % 24) / 12 - 1
  return 4 + 12 * (1 - fromNoon * fromNoon)
}

/** What one second of whatever it did made of engine, tank and tires. */
export function measure(vehicles: Vehicles, v: number, hour: number): void {
  const { ambient, chill, isEngineOn, trouble } = vehicles
  ambient[v]! += (townTemperature(hour) - chill[v]! - ambient[v]!) * 0.02
  runEngine(vehicles, v)
  if (isEngineOn[v]) burn(vehicles, v)
  heatTires(vehicles, v)
  if (trouble[v] === 0 && vehicles.speed[v] === 0) pumpUp(vehicles, v)
}

function runEngine({ isEngineOn, rpm, coolant, ambient, speed, load, dice }: Vehicles, v: number): void {
  if (!isEngineOn[v]) {
    rpm[v] = 0
    coolant[v]! += (ambient[v]! - coolant[v]!) * 0.0002
    return
  }
  const kmh = speed[v]! * 3.6
  rpm[v] = kmh === 0 ? idleRpm + dice.between(v, -25, 25) : rpmAt(kmh) + dice.between(v, -30, 30)
  // Uphill of the thermostat: work and load heat, the wind cools.
  const balance = warmCoolant + 5 * load[v]! * (rpm[v] / 2_500) - 0.02 * kmh
  coolant[v]! += (balance - coolant[v]!) * 0.01 + dice.between(v, -0.1, 0.1)
}

function rpmAt(kmh: number): number {
  let gear = 1
  while (gear < shifts.length - 1 && kmh >= shifts[gear]!) gear += 1
  const [low, high] = [shifts[gear - 1]!, shifts[gear]!]
  return 1_150 + ((kmh - low) / (high - low)) * 1_400
}

/** A litre an hour to idle, 9 to 12 l / 100 km to drive, more while it gains speed. */
function burn({ fuel, speed, deceleration, load }: Vehicles, v: number): void {
  const driving = deceleration[v]! > 0.5 ? 0 : (speed[v]! * (9 + 3 * load[v]!)) / 100_000
  fuel[v] = Math.max(0.5, fuel[v]! - ((1 / 3_600 + driving) / tankLitres) * 100)
}

/** Rolling, the more so under load, and braking heat them, over minutes. */
function heatTires({ tireHeat, ambient, speed, load, deceleration }: Vehicles, v: number): void {
  const balance = ambient[v]! + speed[v]! * (0.8 + 0.5 * load[v]!) + deceleration[v]! * 4
  tireHeat[v]! += (balance - tireHeat[v]!) * 0.003
}

/** What the driver finds too soft when it stands. */
function pumpUp({ coldPressure }: Vehicles, v: number): void {
  for (let tire = v * tireCount; tire < (v + 1) * tireCount; tire++)
    if (coldPressure[tire]! < normalPressure - 12) coldPressure[tire]! += 2
}
