import { Dice } from './random.ts'

/** What a vehicle does. */
export const driving = 0
/** Stands at a customer's; the engine is off unless it goes on at once. */
export const delivering = 1
export const refuelling = 2
/** At home, out of its shift. */
export const parked = 3

/** What it drives to. */
export const toCustomer = 0
export const toStation = 1
export const toHome = 2

/** What something that goes wrong makes of its driving. */
export const freely = 0
/** Brake now, hard. */
export const panicking = 1
/** Stop where you are, and stay. */
export const pullingOver = 2

/** Left front, right front, right rear, left rear. */
export const tireCount = 4

/** All that is known of each vehicle of a fleet, a column a thing: a hundred thousand of them take 25 MB, and no garbage. */
export class Vehicles {
  readonly count: number
  /** Each has its own luck. */
  readonly dice: Dice

  readonly activity: Uint8Array
  readonly errand: Uint8Array
  /** A crossing. */
  readonly destination: Int32Array
  readonly home: Int32Array
  /** Seconds that it still stands. */
  readonly standsFor: Int32Array
  /** Hours of the day. */
  readonly shiftBegin: Float64Array
  readonly shiftHours: Float64Array
  /** Of what it can carry, 0 to 1. */
  readonly load: Float64Array

  /** The crossing behind it, where it is going from there, and where next. */
  readonly crossing: Int32Array
  readonly direction: Uint8Array
  readonly nextDirection: Uint8Array
  /** From the crossing behind it, and from there to the next one. */
  readonly metres: Float64Array
  readonly length: Float64Array
  /** In m/s. */
  readonly speed: Float64Array
  /** In m/s². */
  readonly deceleration: Float64Array
  readonly order: Uint8Array
  /** Times the speed limit. */
  readonly haste: Float64Array

  readonly isEngineOn: Uint8Array
  readonly rpm: Float64Array
  /** In % of the tank. */
  readonly fuel: Float64Array
  /** In °C. */
  readonly coolant: Float64Array
  readonly ambient: Float64Array
  /** How much colder than the town it is where this one drives. */
  readonly chill: Float64Array
  readonly tireHeat: Float64Array
  /** What the tires would show at 20 °C, kPa; four a vehicle. */
  readonly coldPressure: Float64Array

  /** 0: none; else the trouble's place in the list, counted from 1. */
  readonly trouble: Uint8Array
  readonly troubleSeconds: Int32Array
  readonly isReported: Uint8Array
  /** What the trouble remembers. */
  readonly tally: Float64Array
  readonly lastAt: Int32Array

  constructor(count: number, seed: number) {
    const bytes = () => new Uint8Array(count)
    const integers = () => new Int32Array(count)
    const numbers = (each = 1) => new Float64Array(count * each)
    this.count = count
    this.dice = new Dice(count, seed)
    this.activity = bytes()
    this.errand = bytes()
    this.destination = integers()
    this.home = integers()
    this.standsFor = integers()
    this.shiftBegin = numbers()
    this.shiftHours = numbers()
    this.load = numbers()
    this.crossing = integers()
    this.direction = bytes()
    this.nextDirection = bytes()
    this.metres = numbers()
    this.length = numbers()
    this.speed = numbers()
    this.deceleration = numbers()
    this.order = bytes()
    this.haste = numbers().fill(1)
    this.isEngineOn = bytes()
    this.rpm = numbers()
    this.fuel = numbers()
    this.coolant = numbers()
    this.ambient = numbers()
    this.chill = numbers()
    this.tireHeat = numbers()
    this.coldPressure = numbers(tireCount)
    this.trouble = bytes()
    this.troubleSeconds = integers()
    this.isReported = bytes()
    this.tally = numbers()
    this.lastAt = integers()
  }
}
