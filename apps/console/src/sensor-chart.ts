import type { TimeValue } from '@flasktoria/contracts/updates'
import { element } from './page-elements.ts'

const windowMs = 10 * 60_000
const width = 300
const height = 80
const margin = 4

/** The last ten minutes of one sensor as a line. A reading that comes twice, from the history and live, counts once. */
export class SensorChart {
  readonly #caption: (value: number) => string
  readonly #readings = new Map<number, number>()

  constructor(caption: (value: number) => string) {
    this.#caption = caption
  }

  add(readings: readonly TimeValue[]): void {
    for (const { timestamp, value } of readings) this.#readings.set(timestamp, value)
    const oldest = Math.max(...this.#readings.keys()) - windowMs
    for (const timestamp of this.#readings.keys()) if (timestamp < oldest) this.#readings.delete(timestamp)
  }

  draw(): void {
    const line = [...this.#readings].toSorted(([a], [b]) => a - b)
    element('#chart').hidden = line.length === 0
    const [first, last] = [line[0], line.at(-1)]
    if (!first || !last) return
    const values = line.map(([, value]) => value)
    const [low, high] = [Math.min(...values), Math.max(...values)]
    const x = (timestamp: number) => ((timestamp - first[0]) / (last[0] - first[0] || 1)) * width
    const y = (value: number) => height - margin - ((value - low) / (high - low || 1)) * (height - 2 * margin)
    const points = line.map(([timestamp, value]) => `${x(timestamp).toFixed(1)},${y(value).toFixed(1)}`)
    element('#chart polyline').setAttribute('points', points.join(' '))
    element('#chart figcaption').textContent = `${this.#caption(low)} – ${this.#caption(high)}, ${line.length} readings`
  }
}
