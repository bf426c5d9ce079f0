import type { PageColumns, PageQuestion, ReadingKey } from '@flasktoria/warehouse/queries-history'
import { lastKey } from './history-slices.ts'
import type { RecentWindow } from './recent-window.ts'

export type Point = ReadingKey & { value: number }

/** As engines compare text. */
export const compareBytes = (a: string, b: string): number =>
  a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b))

type Compare<Key> = (a: Key, b: Key) => number

/** The same order, or the other way round. */
export const directed = <Key>(compare: Compare<Key>, isReversed = false): Compare<Key> =>
  isReversed ? (a, b) => compare(b, a) : compare

const compareKeys = (a: ReadingKey, b: ReadingKey): number =>
  a.timestamp - b.timestamp || compareBytes(a.sensor, b.sensor)

/** What the window knows of some sensors behind a key, in order, each reading once. */
export function recentPoints(
  window: RecentWindow,
  { vehicle, sensors, from, to, after, isReversed }: Omit<PageQuestion, 'limit'>,
): Point[] {
  const points = sensors.flatMap((sensor) => {
    const { timestamps, values } = window.readings(vehicle, sensor, { from, to })
    return timestamps.map((timestamp, index) => ({ timestamp, sensor, value: values[index]! }))
  })
  const compare = directed(compareKeys, isReversed)
  const behind = after ? points.filter((point) => compare(point, after) > 0) : points
  return behind.toSorted(compare)
}

/**
 * History and window as one, without words, each reading once, in their order: of several of the same time the history's first
 * counts. At most `limit` readings; the history may give one row more, which tells that there are more.
 */
export class ReadingMerge {
  readonly #recent: readonly Point[]
  readonly #limit: number
  readonly #compare: typeof compareKeys
  #position = 0
  #merged = createColumns()
  #mergedRows = 0
  #pageRows = 0
  /** The last reading that was let through, and the last row that was looked at. */
  #last: ReadingKey | undefined
  #lastOfPage: ReadingKey | undefined
  /** Behind it there are more; undefined: not that we know. */
  next: ReadingKey | undefined

  constructor(recent: readonly Point[], limit: number, isReversed = false) {
    this.#recent = recent
    this.#limit = limit
    this.#compare = directed(compareKeys, isReversed)
  }

  /** What can be told now that the history has said so much. */
  add({ timestamps, sensors, values }: PageColumns): PageColumns {
    for (let row = 0; row < timestamps.length && !this.next; row++) {
      const timestamp = timestamps[row]!
      const sensor = sensors[row]!
      if (Number.isNaN(values[row])) continue
      if (timestamp === this.#last?.timestamp && sensor === this.#last.sensor) continue
      this.#addRecent({ timestamp, sensor })
      this.#push(timestamp, sensor, values[row]!)
    }
    this.#pageRows += timestamps.length
    this.#lastOfPage = lastKey({ timestamps, sensors }) ?? this.#lastOfPage
    return this.#take()
  }

  /** The rest, when the history has said all or one row more than the limit. */
  finish(): PageColumns {
    if (this.next) return createColumns()
    const cut = this.#pageRows > this.#limit ? this.#lastOfPage : undefined
    this.#addRecent(cut)
    this.next ??= cut
    return this.#take()
  }

  #take(): PageColumns {
    const merged = this.#merged
    this.#merged = createColumns()
    return merged
  }

  /** What stands before a reading of the history, or all; one that stands in its very place is left out. */
  #addRecent(end: ReadingKey | undefined): void {
    for (; this.#position < this.#recent.length && !this.next; this.#position++) {
      const point = this.#recent[this.#position]!
      const order = end ? this.#compare(point, end) : -1
      if (order > 0) return
      if (order < 0) this.#push(point.timestamp, point.sensor, point.value)
    }
  }

  #push(timestamp: number, sensor: string, value: number): void {
    if (this.#mergedRows === this.#limit) {
      this.next = this.#last
      return
    }
    if (this.next) return
    this.#merged.timestamps.push(timestamp)
    this.#merged.sensors.push(sensor)
    this.#merged.values.push(value)
    this.#mergedRows++
    this.#last = { timestamp, sensor }
  }
}

type Columns = { timestamps: number[]; sensors: string[]; values: number[] }
const createColumns = (): Columns => ({ timestamps: [], sensors: [], values: [] })
