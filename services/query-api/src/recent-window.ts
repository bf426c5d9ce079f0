import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import type { AnomalyUpdate, PositionUpdate, SensordataUpdate } from '@flasktoria/contracts/updates'
import type { Cursor } from '@flasktoria/live-log/cursor'
import type { Entry, LogListener, Snapshot } from '@flasktoria/live-log/log'
import type { Period } from '@flasktoria/warehouse/queries'
import { keyOfAnomaly } from './anomalies.ts'
import { LogGaps, type Lack } from './log-gaps.ts'
import { ReadingRing, type Arrivals } from './reading-ring.ts'
import type { Series } from './series.ts'

export type Position = { vehicle: string; lat: number; long: number; timestamp: number }

/** What the window remembers, each kind within bounds of its own. */
export type RecentKind = 'readings' | 'positions' | 'anomalies'

export type WindowBounds = { retentionMs: number; maxReadings: number; maxAnomalies: number }

/** A vehicle is on the map for this long after its newest position. */
export const mapMs = 5 * 60_000

const sweepEvery = 1_024

/**
 * What the live log said lately: the newest position of each vehicle, and the readings and anomalies of the last minutes,
 * by arrival. What was heard stays true when the log begins anew, so a new snapshot adds to the window; the readers of the
 * window count a reading once however often it was heard.
 */
export class RecentWindow implements LogListener {
  readonly #now: () => number
  readonly #bounds: WindowBounds
  readonly #readings: ReadingRing
  /** Where vehicles were: two rings in step. */
  readonly #lats: ReadingRing
  readonly #longs: ReadingRing
  readonly #positions = new Map<string, Position>()
  readonly #anomalies = new Map<string, { facts: AnomalyFacts; arrivedAt: number }>()
  readonly #gaps = new LogGaps()
  #anomaliesCrowdedOutAt = -Infinity
  #applied = 0
  /** Without a snapshot there are no live answers yet. */
  hasSnapshot = false
  /** While the log is away, live answers grow old. */
  isConnected = false
  /** Entries that were no updates as the contract has them. */
  unreadable = 0
  /** Another one whenever `positions()` has changed, unless for their age. */
  positionsVersion = 0

  constructor(bounds: WindowBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
    this.#readings = new ReadingRing(bounds)
    this.#lats = new ReadingRing(bounds)
    this.#longs = new ReadingRing(bounds)
  }

  get size() {
    return { readings: this.#readings.size, anomalies: this.#anomalies.size, positions: this.#positions.size }
  }

  get crowdedOut(): number {
    return this.#readings.crowdedOut
  }

  onSnapshot(snapshot: Snapshot): void {
    const heardUpTo = this.#gaps.heardUpTo(snapshot.epoch)
    const recent = snapshot.recent.filter(({ seq }) => seq > heardUpTo)
    const oldest = recent[0]?.seq ?? snapshot.head + 1
    for (const entry of snapshot.state)
      if (entry.kind === 'position' && entry.seq > heardUpTo && entry.seq < oldest) this.#apply(entry)
    for (const entry of recent) this.#apply(entry)
    this.#gaps.onSnapshot(snapshot, this.#now())
    this.hasSnapshot = true
    this.isConnected = true
  }

  onEntries(entries: readonly Entry[]): void {
    for (const entry of entries) this.#apply(entry)
    const last = entries.at(-1)
    if (last) this.#gaps.onEntries(last.seq, this.#now())
  }

  onConnected(isConnected: boolean): void {
    this.isConnected = isConnected
    this.#gaps.onConnected(isConnected)
  }

  /** Up to where in the log everything is here that `lacks` does not name; undefined: nothing was heard yet. */
  get cursor(): Cursor | undefined {
    return this.#gaps.cursor
  }

  /** When what arrived is not here, or may not be, in order of their beginnings; the first begins with time itself. */
  lacks(kind: RecentKind): Lack[] {
    const now = this.#now()
    const expired: Lack = { from: -Infinity, to: now - this.#bounds.retentionMs, reason: 'before_window' }
    const crowdedOut: Lack = { from: -Infinity, to: this.#crowdedOutAt(kind), reason: 'crowded_out' }
    const gone = crowdedOut.to > expired.to ? crowdedOut : expired
    return [gone, ...this.#gaps.after(gone.to, now)]
  }

  #crowdedOutAt(kind: RecentKind): number {
    if (kind === 'anomalies') return this.#anomaliesCrowdedOutAt
    return (kind === 'readings' ? this.#readings : this.#lats).crowdedOutAt
  }

  /** Each vehicle with a position not older than `mapMs`, at its newest one. */
  positions(): Position[] {
    this.#sweep()
    return [...this.#positions.values()]
  }

  /** Where a vehicle was, newest first, one position a timestamp; of several that came together the log keeps the newest. */
  track(vehicle: string, period: Arrivals): Position[] {
    const now = this.#now()
    const { timestamps, values: lats } = this.#lats.read(vehicle, '', period, now)
    const { values: longs } = this.#longs.read(vehicle, '', period, now)
    return timestamps.map((timestamp, index) => ({ vehicle, timestamp, lat: lats[index]!, long: longs[index]! }))
  }

  /** Whose positions are here. */
  trackedVehicles(): string[] {
    return this.#lats.vehiclesWith('', this.#now())
  }

  /** Whose readings of a sensor are here. */
  vehiclesWith(sensor: string): string[] {
    return this.#readings.vehiclesWith(sensor, this.#now())
  }

  /** Newest first, one reading a timestamp. */
  readings(vehicle: string, sensor: string, period: Arrivals): Series {
    return this.#readings.read(vehicle, sensor, period, this.#now())
  }

  /** In no order. */
  anomalies({ from, to }: Period): AnomalyFacts[] {
    this.#sweep()
    return this.#anomalies
      .values()
      .map(({ facts }) => facts)
      .filter(({ timestamp }) => timestamp >= from && timestamp <= to)
      .toArray()
  }

  #apply(entry: Entry): void {
    try {
      this.#remember(entry)
    } catch {
      this.unreadable++
    }
    if (++this.#applied % sweepEvery === 0) this.#sweep()
  }

  #remember({ kind, vehicle, sensor, eventTs, json }: Entry): void {
    switch (kind) {
      case 'position': {
        const { lat, long }: PositionUpdate = JSON.parse(json)
        const now = this.#now()
        this.#lats.push(vehicle, '', eventTs, lat, now)
        this.#longs.push(vehicle, '', eventTs, long, now)
        const known = this.#positions.get(vehicle)
        if (known && known.timestamp > eventTs) return
        this.#positions.set(vehicle, { vehicle, lat, long, timestamp: eventTs })
        this.positionsVersion++
        return
      }
      case 'sensordata': {
        const { values }: SensordataUpdate = JSON.parse(json)
        const now = this.#now()
        for (const { timestamp, value } of values) this.#readings.push(vehicle, sensor, timestamp, value, now)
        return
      }
      case 'anomaly':
        return this.#rememberAnomaly(vehicle, eventTs, JSON.parse(json))
      case 'sensorstatus':
      case 'vehiclestatus':
    }
  }

  #rememberAnomaly(vehicle: string, timestamp: number, update: AnomalyUpdate): void {
    // Unknown to the history as well: without its id there is nothing to list.
    if (update.anomaly_id === undefined) return
    const facts = {
      vehicle,
      timestamp,
      anomalyId: update.anomaly_id,
      detectionTime: update.detection_timestamp,
      confirmationTime: update.declared_timestamp,
    }
    const key = keyOfAnomaly(facts)
    this.#anomalies.delete(key)
    this.#anomalies.set(key, { facts, arrivedAt: this.#now() })
  }

  #sweep(): void {
    const now = this.#now()
    for (const { vehicle, timestamp } of this.#positions.values())
      if (timestamp < now - mapMs) this.#positions.delete(vehicle)
    for (const [key, { arrivedAt }] of this.#anomalies) {
      const isTooMany = this.#anomalies.size > this.#bounds.maxAnomalies
      if (!isTooMany && arrivedAt >= now - this.#bounds.retentionMs) break
      this.#anomalies.delete(key)
      if (isTooMany) this.#anomaliesCrowdedOutAt = arrivedAt
    }
  }
}
