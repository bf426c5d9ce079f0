/** Unknown until somebody looked. */
export type Lag = { lagRecords: number | null; lagMs: number | null }

type Partition = {
  /** The next record to handle, and the end of the partition when it was last seen. */
  position: number
  end: number
  /** What waits came later than this, epoch ms; undefined: nobody can tell yet. */
  since: number | undefined
  seenAt: number
}

/**
 * What waits in the partitions of one consumer, and for how long. A record that waits is younger than the last one handled, and
 * than the last moment at which none waited: the later of the two counts, so that the first record after a quiet night does
 * not seem to have waited all night. Pure: times are parameters.
 */
export class PartitionLag {
  readonly #partitions = new Map<string, Partition>()
  #isKnown = false

  /** The partitions are others now. */
  forget(): void {
    this.#partitions.clear()
    this.#isKnown = false
  }

  /** Somebody looked at all partitions, and told each of them. */
  know(): void {
    this.#isKnown = true
  }

  /** Everything before `position` was handled at least, by us or by others before us; the partition ends at `end`. */
  look(partition: string, position: number, end: number, now: number): void {
    const known = this.#partitions.get(partition)
    this.#set(partition, Math.max(position, known?.position ?? 0), end, now)
  }

  /** Records from `position` on are in hand; the first of them was stamped `ts`. */
  take(partition: string, position: number, end: number, ts: number, now: number): void {
    const known = this.#partitions.get(partition)
    this.#later(this.#set(partition, position, Math.max(end, known?.end ?? 0), now), ts, now)
  }

  /** Everything before `position` was handled; the last of it was stamped `ts`. */
  handle(partition: string, position: number, ts: number, now: number): void {
    const known = this.#partitions.get(partition)
    this.#later(this.#set(partition, position, known?.end ?? position, now), ts, now)
  }

  read(now: number): Lag {
    if (!this.#isKnown) return { lagRecords: null, lagMs: null }
    let lagRecords = 0
    let lagMs = 0
    for (const { position, end, since, seenAt } of this.#partitions.values()) {
      if (position >= end) continue
      lagRecords += end - position
      lagMs = Math.max(lagMs, now - (since ?? seenAt))
    }
    return { lagRecords, lagMs }
  }

  /** What waits in each partition that somebody told of. */
  *each(): Generator<{ partition: string; lagRecords: number }> {
    for (const [partition, { position, end }] of this.#partitions)
      yield { partition, lagRecords: Math.max(0, end - position) }
  }

  #set(partition: string, position: number, end: number, now: number): Partition {
    let known = this.#partitions.get(partition)
    if (!known) this.#partitions.set(partition, (known = { position, end, since: undefined, seenAt: now }))
    known.position = position
    known.end = end
    if (position >= end) known.since = now
    return known
  }

  /** A producer's clock may be ahead, or say nothing. */
  #later(partition: Partition, ts: number, now: number): void {
    if (ts > 0) partition.since = Math.max(partition.since ?? 0, Math.min(ts, now))
  }
}
