/** The readings of one sensor, by column. */
export class Series {
  readonly timestamps: number[] = []
  readonly values: number[] = []

  get length(): number {
    return this.timestamps.length
  }

  push(timestamp: number, value: number): void {
    this.timestamps.push(timestamp)
    this.values.push(value)
  }

  /** Newest first, one reading a timestamp: of several, the one that was pushed first. */
  newestFirst(): Series {
    const { timestamps, values } = this
    if (timestamps.every((timestamp, index) => index === 0 || timestamp < timestamps[index - 1]!)) return this
    const order = Uint32Array.from(timestamps.keys()).toSorted((a, b) => timestamps[b]! - timestamps[a]! || a - b)
    const sorted = new Series()
    for (const index of order)
      if (timestamps[index] !== sorted.timestamps.at(-1)) sorted.push(timestamps[index]!, values[index]!)
    return sorted
  }
}

/** Both, each `newestFirst`, as one: where both have a reading of the same time, the first one's counts. */
export function mergeSeries(first: Series, second: Series): Series {
  if (second.length === 0) return first
  if (first.length === 0) return second
  const merged = new Series()
  let [a, b] = [0, 0]
  while (a < first.length || b < second.length) {
    const left = first.timestamps[a] ?? -Infinity
    const right = second.timestamps[b] ?? -Infinity
    if (left >= right) merged.push(left, first.values[a++]!)
    else merged.push(right, second.values[b]!)
    if (right >= left) b++
  }
  return merged
}
