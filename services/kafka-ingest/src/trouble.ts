import type { Orders } from './drive.ts'
import type { Random } from './random.ts'

/** What the sensors of a vehicle say, beside where it is. */
export type Gauges = {
  speedKmh: number
  limitKmh: number
  rpm: number
  fuel: number
  coolant: number
  ambient: number
  /** Left front, right front, right rear, left rear. */
  tires: [number, number, number, number]
  braking: number
}

/**
 * Something that goes wrong with a vehicle: it shows in the gauges first, then is an anomaly of the catalogue, then passes.
 * Called once a second. `effect` changes the gauges, `orders` the driving, `isAnomaly` says when it shows clearly.
 */
export type Trouble = {
  anomalyId: number
  /** The sensor that shows it best. */
  sensor: string
  lastsSeconds: number
  orders?: (second: number, gauges: Gauges) => Partial<Orders>
  effect?: (gauges: Gauges, second: number) => void
  isAnomaly: (gauges: Gauges, second: number) => boolean
}

export function flatTire(random: Random): Trouble {
  const tire = random.integer(4)
  return {
    anomalyId: 0,
    sensor: `pid_${201 + tire}_mode_1`,
    lastsSeconds: 150,
    effect: ({ tires }) => {
      tires[tire] = Math.max(140, tires[tire]! - 1.6)
    },
    isAnomaly: ({ tires }) => tires[tire]! < 185,
  }
}

export function panicBraking(): Trouble {
  let hardStops = 0
  let lastAt = -Infinity
  return {
    anomalyId: 1,
    sensor: 'pid_205_mode_1',
    lastsSeconds: 120,
    orders: (second, { speedKmh }) => {
      const isPanicking = (speedKmh > 38 && second - lastAt > 6) || (second - lastAt < 2 && speedKmh > 5)
      if (isPanicking && second - lastAt >= 2) lastAt = second
      return { isPanicking, haste: 1.15 }
    },
    isAnomaly: ({ braking }) => braking > 80 && ++hardStops >= 3,
  }
}

export function carelessDriving(): Trouble {
  let secondsTooFast = 0
  return {
    anomalyId: 2,
    sensor: 'pid_13_mode_1',
    lastsSeconds: 100,
    orders: () => ({ haste: 1.7 }),
    effect: (gauges, second) => {
      gauges.ambient = Math.max(0.5, gauges.ambient - Math.min(2, second * 0.2))
    },
    isAnomaly: ({ speedKmh, limitKmh, ambient }) => speedKmh > limitKmh * 1.2 && ambient < 3 && ++secondsTooFast >= 5,
  }
}

export function fuelLeak(): Trouble {
  let lost = 0
  return {
    anomalyId: 3,
    sensor: 'pid_47_mode_1',
    lastsSeconds: 60,
    effect: (gauges, second) => {
      gauges.fuel = Math.max(1, gauges.fuel - 0.2)
      lost += 0.2
      if (second < 20) for (const [index, pressure] of gauges.tires.entries()) gauges.tires[index] = pressure - 0.8
    },
    isAnomaly: () => lost > 7,
  }
}

export const overheating = (): Trouble => ({
  anomalyId: 4,
  sensor: 'pid_5_mode_1',
  lastsSeconds: 90,
  // Once it boils the driver pulls over.
  orders: (second) => ({ isHolding: second > 50 }),
  effect: (gauges, second) => {
    gauges.coolant = second <= 50 ? Math.min(119, gauges.coolant + 0.8) : gauges.coolant - 0.5
  },
  isAnomaly: ({ coolant }) => coolant > 112,
})

export function idling(): Trouble {
  let secondsIdle = 0
  return {
    anomalyId: 5,
    sensor: 'pid_12_mode_1',
    lastsSeconds: 110,
    orders: () => ({ isHolding: true }),
    isAnomaly: ({ speedKmh, rpm }) => speedKmh === 0 && rpm > 500 && ++secondsIdle >= 60,
  }
}

export const drawTrouble = (random: Random): Trouble =>
  random.pick([flatTire, panicBraking, carelessDriving, fuelLeak, overheating, idling])(random)
