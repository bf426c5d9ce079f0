import type { Aggregate, Fill } from '@flasktoria/contracts/rest-v1-history'
import type { Bucket } from '@flasktoria/warehouse/queries-history'
import type { Cell } from '@flasktoria/warehouse/warehouse'

/** An interval of a sensor. */
export type Place = Pick<Bucket, 'sensor' | 'start'>
export type Row = readonly Cell[]

const aggregateOf: Record<Aggregate, (bucket: Bucket) => number> = {
  min: ({ min }) => min,
  max: ({ max }) => max,
  avg: ({ sum, count }) => sum / count,
  count: ({ count }) => count,
  last: ({ last }) => last,
}

/** Every interval of some sensors that lies between two begins, both included, in the order of begins. */
export function* placesBetween(sensors: readonly string[], first: number, last: number, intervalMs: number) {
  for (let start = first; start <= last; start += intervalMs)
    for (const sensor of sensors) yield { sensor, start } satisfies Place
}

/**
 * The rows of intervals: sensor, begin, and what the readings come to. An interval without readings counts none; what else
 * stands there is nothing, or what stood there in the one before, as `fill` says.
 */
export class IntervalRows {
  readonly #aggregates: readonly Aggregate[]
  readonly #fill: Fill
  readonly #places: Iterator<Place>
  readonly #before = new Map<string, Row>()

  /** `places`: all that there are, in the order in which buckets come. */
  constructor(aggregates: readonly Aggregate[], fill: Fill, places: Iterator<Place>) {
    this.#aggregates = aggregates
    this.#fill = fill
    this.#places = places
  }

  *add(buckets: Iterable<Bucket>): Generator<Row> {
    for (const bucket of buckets) {
      if (this.#fill !== 'none') yield* this.#emptyUpTo(bucket)
      const values = this.#aggregates.map((name) => aggregateOf[name](bucket))
      if (this.#fill === 'previous') this.#before.set(bucket.sensor, values)
      yield [bucket.sensor, bucket.start, ...values]
    }
  }

  *finish(): Generator<Row> {
    if (this.#fill !== 'none') yield* this.#emptyUpTo(undefined)
  }

  *#emptyUpTo(end: Place | undefined): Generator<Row> {
    for (;;) {
      const { done, value: place } = this.#places.next()
      if (done || (place.start === end?.start && place.sensor === end.sensor)) return
      const before = this.#before.get(place.sensor)
      yield [
        place.sensor,
        place.start,
        ...this.#aggregates.map((name, index) => (name === 'count' ? 0 : (before?.[index] ?? null))),
      ]
    }
  }
}
