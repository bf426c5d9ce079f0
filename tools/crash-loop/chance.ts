import { fractionOf, nextState } from '@flasktoria/kafka-ingest/random'

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1). */
  next(): number {
    return fractionOf((this.#state = nextState(this.#state)))
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  /** Below `end`. */
  integer(end: number): number {
    return Math.floor(this.next() * end)
  }

  isLikely(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(choices.length)]!
  }

  /** Another one, which goes its own way. */
  fork(): Chance {
    return new Chance(this.integer(2 ** 32))
  }
}
