import type { Period } from '@flasktoria/warehouse/queries'
import { Series } from './series.ts'

/** When what is asked for happened and, if that matters, since when it arrived. */
export type Arrivals = Period & { arrivedFrom?: number }

const initialCapacity = 16_384
const minSweepInterval = 4_096

/**
 * The readings that arrived lately, in order of arrival, bounded by age and by number. One ring of columns holds all
 * series; each reading knows how far back the previous one of its series lies, so that a series is read by following its
 * links, and memory is 28 bytes a reading however the readings spread over the series.
 *
 * Readings are numbered as they arrive; number n lies in slot n mod capacity, from `#oldest` up to `#next`.
 */
export class ReadingRing {
  readonly #retentionMs: number
  readonly #maxReadings: number
  #columns = createColumns(initialCapacity)
  #oldest = 0
  #next = 0
  /** Series → the number of its newest reading; swept of those that left the ring. */
  readonly #newest = new Map<string, number>()
  #sweepAt = minSweepInterval
  /** How many readings had to leave before their time, because there were too many. */
  crowdedOut = 0
  /** When the last one of them had arrived. */
  crowdedOutAt = -Infinity

  constructor({ retentionMs, maxReadings }: { retentionMs: number; maxReadings: number }) {
    this.#retentionMs = retentionMs
    this.#maxReadings = maxReadings
  }

  get size(): number {
    return this.#next - this.#oldest
  }

  push(vehicle: string, sensor: string, timestamp: number, value: number, arrivedAt: number): void {
    this.#expire(arrivedAt)
    this.#makeRoom()
    const key = seriesKey(vehicle, sensor)
    const previous = this.#newest.get(key)
    const { capacity, arrivals, timestamps, values, links } = this.#columns
    const slot = this.#next % capacity
    arrivals[slot] = arrivedAt
    timestamps[slot] = timestamp
    values[slot] = value
    links[slot] = previous !== undefined && previous >= this.#oldest ? this.#next - previous : 0
    this.#newest.set(key, this.#next++)
    if (this.#next >= this.#sweepAt) this.#sweep()
  }

  /** Whose readings of a sensor are here. */
  vehiclesWith(sensor: string, now: number): string[] {
    this.#expire(now)
    const suffix = seriesKey('', sensor)
    return this.#newest
      .entries()
      .filter(([key, number]) => number >= this.#oldest && key.endsWith(suffix))
      .map(([key]) => key.slice(0, -suffix.length))
      .toArray()
  }

  /** Newest first; of several readings of the same time the one that arrived last. */
  read(vehicle: string, sensor: string, { from, to, arrivedFrom = -Infinity }: Arrivals, now: number): Series {
    this.#expire(now)
    const found = new Series()
    const { capacity, arrivals, timestamps, values, links } = this.#columns
    let number = from <= to ? (this.#newest.get(seriesKey(vehicle, sensor)) ?? -1) : -1
    while (number >= this.#oldest) {
      const slot = number % capacity
      if (arrivals[slot]! < arrivedFrom) break
      const timestamp = timestamps[slot]!
      if (timestamp >= from && timestamp <= to) found.push(timestamp, values[slot]!)
      if (links[slot] === 0) break
      number -= links[slot]!
    }
    return found.newestFirst()
  }

  #expire(now: number): void {
    const { capacity, arrivals } = this.#columns
    while (this.#oldest < this.#next && arrivals[this.#oldest % capacity]! < now - this.#retentionMs) this.#oldest++
  }

  #makeRoom(): void {
    const { capacity } = this.#columns
    if (this.size < Math.min(capacity, this.#maxReadings)) return
    if (capacity >= this.#maxReadings) {
      this.crowdedOutAt = this.#columns.arrivals[this.#oldest++ % capacity]!
      this.crowdedOut++
      return
    }
    const columns = createColumns(capacity * 2)
    for (let number = this.#oldest; number < this.#next; number++)
      for (const name of columnNames) columns[name][number % columns.capacity] = this.#columns[name][number % capacity]!
    this.#columns = columns
  }

  #sweep(): void {
    for (const [key, number] of this.#newest) if (number < this.#oldest) this.#newest.delete(key)
    this.#sweepAt = this.#next + Math.max(this.#newest.size, minSweepInterval)
  }
}

const columnNames = ['arrivals', 'timestamps', 'values', 'links'] as const
const createColumns = (capacity: number) => ({
  capacity,
  arrivals: new Float64Array(capacity),
  timestamps: new Float64Array(capacity),
  values: new Float64Array(capacity),
  /** How many numbers back the previous reading of the same series lies; 0: there is none. */
  links: new Uint32Array(capacity),
})

/** Tabs can't occur in ids. */
const seriesKey = (vehicle: string, sensor: string) => `${vehicle}\t${sensor}`
