import type { Bucket, PageColumns } from '@flasktoria/warehouse/queries-history'
import { compareBytes } from './reading-merge.ts'

/** The begin of the bucket that a time lies in; not behind `origin`. */
export const bucketStart = (timestamp: number, { origin, bucketMs }: Grid): number =>
  timestamp - ((timestamp - origin) % bucketMs)

/** Where buckets begin: at multiples of their length from `origin` on. */
export type Grid = { origin: number; bucketMs: number }

/**
 * Makes buckets whole out of their parts and of single readings, which come in the order of time, and gives them in the order
 * of their begins and sensors. Holds what lies in one stretch of time only.
 */
export class BucketGatherer {
  readonly #grid: Grid
  #start = -Infinity
  #bySensor = new Map<string, Bucket>()

  constructor(grid: Grid) {
    this.#grid = grid
  }

  /** The buckets that are whole now, since later ones have begun. */
  *addBuckets(parts: Iterable<Bucket>): Generator<Bucket> {
    for (const part of parts) {
      if (part.start > this.#start) yield* this.#begin(part.start)
      const known = this.#bySensor.get(part.sensor)
      this.#bySensor.set(part.sensor, known ? joined(known, part) : part)
    }
  }

  *addReadings({ timestamps, sensors, values }: PageColumns): Generator<Bucket> {
    for (let row = 0; row < timestamps.length; row++) {
      const timestamp = timestamps[row]!
      const start = bucketStart(timestamp, this.#grid)
      if (start > this.#start) yield* this.#begin(start)
      const sensor = sensors[row]!
      const known = this.#bySensor.get(sensor)
      if (known) addReading(known, timestamp, values[row]!)
      else this.#bySensor.set(sensor, bucketOf(sensor, start, timestamp, values[row]!))
    }
  }

  finish(): Generator<Bucket> {
    return this.#begin(Infinity)
  }

  *#begin(start: number): Generator<Bucket> {
    const whole = [...this.#bySensor.values()]
    this.#bySensor = new Map()
    this.#start = start
    yield* whole.toSorted((a, b) => compareBytes(a.sensor, b.sensor))
  }
}

const bucketOf = (sensor: string, start: number, timestamp: number, value: number): Bucket => ({
  sensor,
  start,
  count: 1,
  sum: value,
  first: value,
  firstAt: timestamp,
  last: value,
  lastAt: timestamp,
  min: value,
  minAt: timestamp,
  max: value,
  maxAt: timestamp,
})

/** A reading behind all others of the bucket. */
function addReading(bucket: Bucket, timestamp: number, value: number): void {
  bucket.count++
  bucket.sum += value
  bucket.last = value
  bucket.lastAt = timestamp
  if (value < bucket.min) [bucket.min, bucket.minAt] = [value, timestamp]
  if (value > bucket.max) [bucket.max, bucket.maxAt] = [value, timestamp]
}

/** Two parts of a bucket, the second of which begins behind the first. */
function joined(a: Bucket, b: Bucket): Bucket {
  return {
    ...a,
    count: a.count + b.count,
    sum: a.sum + b.sum,
    last: b.last,
    lastAt: b.lastAt,
    ...(b.min < a.min && { min: b.min, minAt: b.minAt }),
    ...(b.max > a.max && { max: b.max, maxAt: b.maxAt }),
  }
}
