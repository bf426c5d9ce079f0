import type { Draft } from '@flasktoria/live-log/log'
import type { RawRecord } from './record-source.ts'
import type { Transform } from './transform.ts'
import type { Fact, Fix, Reading } from './validate.ts'

/** More values make another update, so that none grows beyond a frame. */
const maxValues = 250

type Vehicle = { fix: Fix | undefined; readonly readings: Map<string, Reading[]> }

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

  constructor(transform: Transform) {
    this.#transform = transform
  }

  /** How many facts came in. */
  get facts(): number {
    return this.#facts
  }

  add(fact: Fact, raw: RawRecord): void {
    this.#facts++
    if (fact.kind === 'anomaly') this.#anomalies.push(this.#transform.anomaly(fact, raw))
    else if (fact.kind === 'fix') this.#addFix(fact)
    else this.#addReading(fact)
  }

  /** What is to be appended, and how many facts newer ones stand for. */
  finish(): { drafts: Draft[]; conflated: number } {
    const drafts: Draft[] = []
    let told = this.#anomalies.length
    for (const { fix, readings } of this.#vehicles.values()) {
      if (fix) {
        drafts.push(this.#transform.fix(fix))
        told++
      }
      for (const ofSensor of readings.values()) {
        const byTime = inOrder(ofSensor)
        for (let next = 0; next < byTime.length; next += maxValues)
          drafts.push(this.#transform.readings(byTime.slice(next, next + maxValues)))
        told += byTime.length
      }
    }
    return { drafts: [...drafts, ...this.#anomalies], conflated: this.#facts - told }
  }

  #addFix(fix: Fix): void {
    const vehicle = this.#vehicle(fix.vehicle)
    if (!vehicle.fix || fix.ts >= vehicle.fix.ts) vehicle.fix = fix
  }

  #addReading(reading: Reading): void {
    const { readings } = this.#vehicle(reading.vehicle)
    const ofSensor = readings.get(reading.sensor)
    if (ofSensor) ofSensor.push(reading)
    else readings.set(reading.sensor, [reading])
  }

  #vehicle(id: string): Vehicle {
    let vehicle = this.#vehicles.get(id)
    if (!vehicle) this.#vehicles.set(id, (vehicle = { fix: undefined, readings: new Map() }))
    return vehicle
  }
}

/** By time; of equal times, and of words, the last one that came. */
function inOrder(readings: readonly Reading[]): Reading[] {
  const byTime = isAscending(readings) ? readings : readings.toSorted((one, other) => one.ts - other.ts)
  return byTime.filter(({ ts, value }, index) => {
    const next = byTime[index + 1]
    return !next || (next.ts !== ts && value !== null)
  })
}

function isAscending(readings: readonly Reading[]): boolean {
  for (let index = 1; index < readings.length; index++) if (readings[index]!.ts < readings[index - 1]!.ts) return false
  return true
}
