/**
 * Streams of numbers that look random (mulberry32). Each gives the same numbers for the same seed, whatever the others do, on
 * any machine.
 */
export class Dice {
  readonly #states: Uint32Array

  constructor(streams: number, seed: number) {
    this.#states = Uint32Array.from({ length: streams }, (_, stream) => scatter(scatter(seed) ^ stream))
  }

  /** In [0, 1). */
  next(stream: number): number {
    return fractionOf((this.#states[stream] = nextState(this.#states[stream]!)))
  }

  between(stream: number, low: number, high: number): number {
    return low + this.next(stream) * (high - low)
  }

  /** Below `end`. */
  integer(stream: number, end: number): number {
    return Math.floor(this.next(stream) * end)
  }

  isLikely(stream: number, probability: number): boolean {
    return this.next(stream) < probability
  }
}

export const nextState = (state: number): number => (state + 0x6d2b79f5) >>> 0

/** In [0, 1). */
export function fractionOf(state: number): number {
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/** Neighbouring numbers become strangers (the finalizer of MurmurHash3). */
export function scatter(number: number): number {
  let mixed = (number ^ 0x9e3779b9) >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
