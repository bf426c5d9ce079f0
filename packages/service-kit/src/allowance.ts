/** A token bucket: `burst` at once, `perSecond` in the long run. A clock that goes back adds nothing. */
export class Allowance {
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #countedAtMs = 0

  constructor(burst: number, perSecond: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#left = burst
  }

  /** False: nothing is left, and nothing was taken. */
  take(nowMs: number): boolean {
    if (this.left(nowMs) < 1) return false
    this.#left--
    return true
  }

  /** How many can be taken; the next one may be there in part. */
  left(nowMs: number): number {
    if (nowMs > this.#countedAtMs) {
      this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#countedAtMs) / 1000) * this.#perSecond)
      this.#countedAtMs = nowMs
    }
    return this.#left
  }

  /** How long until so many can be taken, if nobody takes any meanwhile. */
  secondsUntil(count: number, nowMs: number): number {
    return Math.max(0, count - this.left(nowMs)) / this.#perSecond
  }
}
