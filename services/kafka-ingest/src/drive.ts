import type { Random } from './random.ts'
import { anyCrossing, blockLength, isTurn, nextCrossing, placeBetween, speedLimit, type Crossing } from './road-grid.ts'

/** What the trouble of a vehicle does to its driving. */
export type Orders = {
  /** Times the speed limit. */
  haste: number
  /** Brake now, hard. */
  isPanicking: boolean
  /** Stop at the next crossing and stay there. */
  isHolding: boolean
}

const acceleration = 1.6
const comfortableBraking = 2.2
const hardBraking = 7.4
const turningSpeed = 15 / 3.6
const redLight = { probability: 0.22, minSeconds: 6, maxSeconds: 28 }
const errand = { probability: 0.012, minSeconds: 25, maxSeconds: 50 }

/** One vehicle under way in the town, second by second. Metres and metres per second. */
export class Drive {
  readonly #random: Random
  #from: Crossing
  #to: Crossing
  #next: Crossing
  #travelled: number
  #standsFor = 0
  #stopsFor = 0
  speed = 0
  /** How strongly the last second slowed us, m/s². */
  deceleration = 0

  constructor(random: Random) {
    this.#random = random
    this.#from = anyCrossing(random)
    this.#to = nextCrossing(this.#from, this.#from, random)
    this.#next = nextCrossing(this.#from, this.#to, random)
    this.#travelled = random.between(0, blockLength / 2)
  }

  get place(): { lat: number; long: number } {
    return placeBetween(this.#from, this.#to, this.#travelled)
  }

  get limitKmh(): number {
    return speedLimit(this.#from, this.#to)
  }

  get isParked(): boolean {
    return this.#standsFor > redLight.maxSeconds
  }

  step(orders: Orders): void {
    const before = this.speed
    if (this.#standsFor > 0) this.#standsFor -= 1
    else if (!(orders.isHolding && this.#isAtCrossing())) this.#roll(orders)
    if (this.#standsFor > 0 || (orders.isHolding && this.#isAtCrossing())) this.speed = 0
    this.deceleration = Math.max(0, before - this.speed)
  }

  #isAtCrossing(): boolean {
    return this.#travelled === 0
  }

  #roll(orders: Orders): void {
    const remaining = blockLength - this.#travelled
    const mustStop = this.#stopsFor > 0 || orders.isHolding
    const atCrossing = mustStop ? 0 : this.#speedAtCrossing(orders.haste)
    const brakingInTime = Math.sqrt(atCrossing ** 2 + 2 * comfortableBraking * Math.max(0, remaining - this.speed / 2))
    const wanted = Math.min((this.limitKmh / 3.6) * orders.haste, brakingInTime, this.speed + acceleration)
    // Nobody slows down faster than brakes and comfort allow, but for the last metre.
    const slowest = this.speed - (orders.isPanicking ? hardBraking : comfortableBraking * 1.4)
    this.speed = orders.isPanicking ? Math.max(0, slowest) : Math.max(wanted, slowest, 0.8)
    this.#travelled += this.speed
    if (this.#travelled < blockLength) return
    this.#travelled = mustStop ? 0 : this.#travelled - blockLength
    if (mustStop) this.#standsFor = this.#stopsFor
    this.#enterNextBlock()
  }

  #speedAtCrossing(haste: number): number {
    if (isTurn(this.#from, this.#to, this.#next)) return turningSpeed
    return (speedLimit(this.#to, this.#next) / 3.6) * haste
  }

  #enterNextBlock(): void {
    const ahead = nextCrossing(this.#to, this.#next, this.#random)
    this.#from = this.#to
    this.#to = this.#next
    this.#next = ahead
    this.#stopsFor = this.#drawStop()
  }

  #drawStop(): number {
    for (const { probability, minSeconds, maxSeconds } of [errand, redLight])
      if (this.#random.isLikely(probability)) return Math.round(this.#random.between(minSeconds, maxSeconds))
    return 0
  }
}
