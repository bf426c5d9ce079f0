import { setTimeout as delay } from 'node:timers/promises'
import { anomalyProfile, sensorProfile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { Random } from './random.ts'
import type { RawRecord, RecordSource } from './record-source.ts'
import { SimulatedVehicle, type SimulatedRecord } from './simulated-vehicle.ts'

export type SimulatorOptions = {
  vehicles: number
  seed: number
  /** Where each kind of record goes. */
  topics: { sensor: string; anomaly: string }
}

/** The fleet reports in turns, so that its records come evenly. */
const turnsPerSecond = 10
const secondMs = 1_000
/** How often something begins to go wrong with one vehicle: about every fifty minutes. */
const troublesPerVehicleSecond = 1 / 3_000
const firstTroubleAt = 3

const profiles = { sensor: sensorProfile, anomaly: anomalyProfile }

/** A fleet that drives about a town. Pure: the same seed gives the same lives; only the times are those of the clock. */
export class Fleet {
  readonly #vehicles: SimulatedVehicle[]
  readonly #random: Random
  #turn = 0

  constructor(vehicles: number, seed: number) {
    this.#random = new Random(seed)
    const digits = Math.max(3, String(vehicles).length)
    this.#vehicles = Array.from(
      { length: vehicles },
      (_, index) => new SimulatedVehicle(`van-${String(index + 1).padStart(digits, '0')}`, seed * 1_000_003 + index),
    )
  }

  /** A tenth of the fleet lives a second that ends at `ts`. */
  nextTurn(ts: number): SimulatedRecord[] {
    const turn = this.#turn++
    if (turn % turnsPerSecond === 0) this.#drawTroubles(turn / turnsPerSecond)
    const records: SimulatedRecord[] = []
    for (let vehicle = turn % turnsPerSecond; vehicle < this.#vehicles.length; vehicle += turnsPerSecond)
      records.push(...this.#vehicles[vehicle]!.step(ts))
    return records
  }

  /** One vehicle has trouble early, so that there is something to see soon. */
  #drawTroubles(second: number): void {
    if (second === firstTroubleAt) this.#random.pick(this.#vehicles).beginTrouble()
    for (const vehicle of this.#vehicles)
      if (!vehicle.hasTrouble && this.#random.isLikely(troublesPerVehicleSecond)) vehicle.beginTrouble()
  }
}

/** The fleet as a record source. A consumer that takes its time slows the fleet down; nothing piles up. */
export const createSimulatorSource = ({ vehicles, seed, topics }: SimulatorOptions): RecordSource => ({
  run: async (consumer, signal) => {
    const fleet = new Fleet(vehicles, seed)
    const offsets = { sensor: 0, anomaly: 0 }
    const rawRecord = ({ form, record }: SimulatedRecord, timestamp: number): RawRecord => {
      const value = form === 'sensor' ? encodeRecord.sensor(record) : encodeRecord.anomaly(record)
      return {
        topic: topics[form],
        profile: profiles[form],
        partition: 0,
        offset: offsets[form]++,
        key: record.uuid,
        value,
        timestamp,
      }
    }
    let dueAt = Date.now()
    while (!signal.aborted) {
      const records = fleet.nextTurn(dueAt).map((simulated) => rawRecord(simulated, dueAt))
      try {
        if (records.length > 0) await consumer.accept(records, signal)
        dueAt = Math.max(dueAt + secondMs / turnsPerSecond, Date.now() - secondMs)
        await delay(Math.max(0, dueAt - Date.now()), undefined, { signal })
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  },
  state: () => ({ failing: undefined, lagRecords: null, lagMs: null }),
})
