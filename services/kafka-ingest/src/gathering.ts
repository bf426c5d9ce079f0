import type { Draft } from '@flasktoria/live-log/log'
import type { RawRecord } from './record-source.ts'
import type { Transform } from './transform.ts'
import type { Fact, Fix, Reading } from './validate.ts'

/** More values make another update, so that none grows beyond a frame. */
const maxValues = 250

type Vehicle = { fix: Fix | undefined; readonly sensors: Map<string, Series> }

/**
 * What records said since the last append, an update a key: the newest position of each vehicle, and of each sensor the
 * newest reading with all values before it. So a backlog costs the log and its readers little, and no value is lost on the
 * way. Anomalies stay each their own, in order, behind the positions.
 */
export class Gathering {
  readonly #transform: Transform
  readonly #vehicles = new Map<string, Vehicle>()
  readonly #anomalies: Draft[] = []
  #facts = 0
  #newestTs = -Infinity

  constructor(transform: Transform) {
    this.#transform = transform
  }

  /** How many facts came in. */
  get facts(): number {
    return this.#facts
  }

  /** The latest event time; -Infinity: nothing came in. */
  get newestTs(): number {
    return this.#newestTs
  }

  /** For how many facts newer ones stand. */
  get conflated(): number {
    let told = this.#anomalies.length
    for (const { fix, sensors } of this.#vehicles.values()) {
      told += Number(fix !== undefined)
      for (const series of sensors.values()) told += series.told
    }
    return this.#facts - told
  }

  add(fact: Fact, raw: RawRecord): void {
    this.#facts++
    if (fact.ts > this.#newestTs) this.#newestTs = fact.ts
    if (fact.kind === 'anomaly') this.#anomalies.push(this.#transform.anomaly(fact, raw))
    else if (fact.kind === 'fix') this.#addFix(fact)
    else this.#addReading(fact)
  }

  /** What is to be appended, each made when it is asked for: all of a backlog at once would be garbage that lives for long. */
  *drafts(): Generator<Draft, void> {
    for (const { fix, sensors } of this.#vehicles.values()) {
      if (fix) yield this.#transform.fix(fix)
      for (const series of sensors.values()) yield* this.#tell(series)
    }
    yield* this.#anomalies
  }

  #addFix(fix: Fix): void {
    const vehicle = this.#vehicle(fix.vehicle)
    if (!vehicle.fix || fix.ts >= vehicle.fix.ts) vehicle.fix = fix
  }

  #addReading(reading: Reading): void {
    const { sensors } = this.#vehicle(reading.vehicle)
    const series = sensors.get(reading.sensor)
    if (series) series.add(reading)
    else sensors.set(reading.sensor, new Series(reading))
  }

  #vehicle(id: string): Vehicle {
    let vehicle = this.#vehicles.get(id)
    if (!vehicle) this.#vehicles.set(id, (vehicle = { fix: undefined, sensors: new Map() }))
    return vehicle
  }

  *#tell(series: Series): Generator<Draft, void> {
    const { newest, times, values } = series.finish()
    let next = 0
    for (let end = maxValues; end < times.length; end += maxValues) {
      const last = { ...newest, ts: times[end - 1]!, value: values[end - 1]!, text: String(values[end - 1]) }
      yield this.#transform.readings(last, times.slice(next, end), values.slice(next, end))
      next = end
    }
    yield this.#transform.readings(newest, times.slice(next), values.slice(next))
  }
}

/** Of one sensor: its newest reading, and all numbers by time. Facts are not kept: a backlog has very many. */
class Series {
  #newest: Reading
  #times: number[] = []
  #values: number[] = []
  #isAscending = true

  constructor(first: Reading) {
    this.#newest = first
    this.add(first)
  }

  add(reading: Reading): void {
    const { ts, value } = reading
    if (ts >= this.#newest.ts) this.#newest = reading
    if (value === null) return
    const times = this.#times
    const last = times.length - 1
    if (last >= 0 && ts <= times[last]!) this.#isAscending = false
    times.push(ts)
    this.#values.push(value)
  }

  /** How many facts stand in it. */
  get told(): number {
    const { newest, times } = this.finish()
    return times.length + Number(newest.value === null)
  }

  /** By time; of equal times the last one that came. */
  finish(): { newest: Reading; times: readonly number[]; values: readonly number[] } {
    if (!this.#isAscending) {
      const [times, values] = [this.#times, this.#values]
      const order = Array.from(times.keys())
        .toSorted((one, other) => times[one]! - times[other]!)
        .filter((place, index, all) => times[place] !== times[all[index + 1] ?? -1])
      this.#times = order.map((place) => times[place]!)
      this.#values = order.map((place) => values[place]!)
      this.#isAscending = true
    }
    return { newest: this.#newest, times: this.#times, values: this.#values }
  }
}
