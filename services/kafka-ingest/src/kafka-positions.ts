/**
 * Where we stand in each partition: the next record that we want. When that is gone, kafkajs goes on with the oldest that
 * is there, without a word; here it is seen how many are missing. Pure.
 */
export class Positions {
  readonly #next = new Map<string, number>()
  /** Partitions that had nothing left when somebody looked last, and lay behind us. */
  readonly #emptied = new Map<string, number>()

  /** The partitions are others now, or another member moved them meanwhile. */
  forget(): void {
    this.#next.clear()
    this.#emptied.clear()
  }

  /** We are going to read from `next`. */
  stand(place: string, next: number): void {
    this.#next.set(place, next)
    this.#emptied.delete(place)
  }

  /** Records come that were asked for by `from`: how many are missing before them; less than none: the topic was made anew. */
  take(place: string, from: number): number {
    return from - (this.#next.get(place) ?? from)
  }

  /**
   * The oldest record is `low`, the next to be written `high`. How many are missing when none is left that would show it: after
   * two looks at the same place, for what a fetch brought may still be in hand.
   */
  look(place: string, low: number, high: number): number {
    const next = this.#next.get(place)
    if (next === undefined || low !== high || low <= next) return 0
    if (this.#emptied.get(place) !== next) {
      this.#emptied.set(place, next)
      return 0
    }
    this.stand(place, low)
    return low - next
  }
}
