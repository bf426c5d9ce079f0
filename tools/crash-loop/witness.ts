import { positionSensor } from '@flasktoria/contracts/records'
import type { ServerMessage } from '@flasktoria/contracts/stream'
import type { Update } from '@flasktoria/contracts/updates'
import type { Entry, LogReader, Snapshot } from '@flasktoria/live-log/log'
import { Observer } from '../e2e/observers.ts'
import { positionOf, readingKey, type Reading } from '../e2e/readings.ts'
import { serialOf } from './ledger.ts'

/** An anomaly that somebody saw, and in which epoch of the log that was. */
export type Sighting = { serial: number; epoch: string }

/** What somebody who follows the log saw, and what was wrong with it. */
class Witness {
  readonly name: string
  readonly sightings: Sighting[] = []
  /** The epochs that it was told of, in order. Each but the first may have cost anomalies. */
  readonly epochs: string[] = []
  /** An older value that came after a newer one. */
  readonly regressions: string[] = []
  readonly #life: () => number
  #lifeOfNewest = 0
  readonly #newest = new Map<string, number>()

  /** `life`: how often Redis lost its memory. */
  constructor(name: string, life: () => number) {
    this.name = name
    this.#life = life
  }

  /** The log began anew. What a Redis forgot may be shown again as it came; what it kept may not. */
  begin(epoch: string): void {
    if (this.epochs.at(-1) === epoch) return
    this.epochs.push(epoch)
    if (this.#lifeOfNewest !== this.#life()) this.#newest.clear()
    this.#lifeOfNewest = this.#life()
  }

  seeAnomaly(serial: number): void {
    this.sightings.push({ serial, epoch: this.epochs.at(-1) ?? '' })
  }

  seeReading(vehicle: string, sensor: string, ts: number): void {
    const key = readingKey({ vehicle, sensor })
    const newest = this.#newest.get(key) ?? ts
    if (ts < newest) this.regressions.push(`${key}: ${ts} after ${newest}`)
    this.#newest.set(key, Math.max(newest, ts))
  }
}

/** Follows the log as a hub does. */
export async function followAsHub(reader: LogReader, life: () => number) {
  const witness = new Witness('a reader of the log', life)
  const state = new Map<string, string>()
  let head = 0

  const see = ({ kind, vehicle, sensor, eventTs, isLate, json }: Entry, isNew: boolean) => {
    if (kind === 'anomaly') {
      if (isNew) witness.seeAnomaly(serialOf(json))
    } else if ((kind === 'position' || kind === 'sensordata') && !isLate) {
      const place = kind === 'position' ? positionSensor : sensor
      if (isNew) witness.seeReading(vehicle, place, eventTs)
      state.set(readingKey({ vehicle, sensor: place }), json)
    }
  }
  const onSnapshot = (snapshot: Snapshot) => {
    const heardTo = snapshot.reason === 'gap' ? head : 0
    witness.begin(snapshot.epoch)
    state.clear()
    for (const entry of snapshot.state) see(entry, true)
    for (const entry of snapshot.recent) if (entry.kind === 'anomaly') see(entry, entry.seq > heardTo)
    head = snapshot.head
  }
  const follower = await reader.follow({
    onSnapshot,
    onEntries: (entries) => {
      for (const entry of entries) see(entry, true)
      head = entries.at(-1)?.seq ?? head
    },
  })
  const shows = ({ vehicle, sensor, ts, text }: Reading) => {
    const json = state.get(readingKey({ vehicle, sensor }))
    const update = json === undefined ? undefined : (JSON.parse(json) as Update)
    if (update?.update_type === 'position') {
      const [lat, long] = positionOf(text)
      return update.lat === lat && update.long === long && update.timestamp === ts
    }
    return update?.update_type === 'sensordata' && update.value === text && update.timestamp === ts
  }
  return {
    witness,
    missing: (last: ReadonlyMap<string, Reading>) => [...last].filter(([, one]) => !shows(one)).map(([key]) => key),
    close: () => follower.close(),
  }
}

/** A browser: a client of the hub that speaks flasktoria.v2. */
export function watchAsClient(url: string, life: () => number) {
  const witness = new Witness('a client', life)
  let gaps = 0
  const receive = (message: ServerMessage) => {
    if (message.type === 'gap') gaps++
    if (message.type !== 'snapshot' && message.type !== 'updates') return
    witness.begin(message.cursor.split('.')[0]!)
    for (const update of message.updates) {
      if (update.update_type === 'anomaly') witness.seeAnomaly(serialOf(JSON.stringify(update)))
      else if (update.update_type === 'position')
        witness.seeReading(update.vehicle_id, positionSensor, update.timestamp)
      else if (update.update_type === 'sensordata')
        witness.seeReading(update.vehicle_id, update.sensor_id, update.timestamp)
    }
  }
  const observer = Observer.v2(url, {}, receive)
  return {
    witness,
    gaps: () => gaps,
    isOpen: () => observer.isOpen,
    missing: (last: ReadonlyMap<string, Reading>) => observer.missing(last),
    close: () => observer.close(),
  }
}
