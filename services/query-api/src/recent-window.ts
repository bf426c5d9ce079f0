import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import type { AnomalyUpdate, PositionUpdate, SensordataUpdate } from '@flasktoria/contracts/updates'
import type { Entry, LogListener, Snapshot } from '@flasktoria/live-log/log'
import { keyOfAnomaly } from './anomalies.ts'
import type { Period } from '@flasktoria/warehouse/queries'
import { ReadingRing } from './reading-ring.ts'
import type { Series } from './series.ts'

export type Position = { vehicle: string; lat: number; long: number; timestamp: number }

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
  readonly #positions = new Map<string, Position>()
  readonly #anomalies = new Map<string, { facts: AnomalyFacts; arrivedAt: number }>()
  #epoch = ''
  #head = 0
  #applied = 0
  /** Without a snapshot there are no live answers yet. */
  hasSnapshot = false
  /** While the log is away, live answers grow old. */
  isConnected = false
  /** Entries that were no updates as the contract has them. */
  unreadable = 0

  constructor(bounds: WindowBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
    this.#readings = new ReadingRing(bounds)
  }

  get size() {
    return { readings: this.#readings.size, anomalies: this.#anomalies.size, positions: this.#positions.size }
  }

  get crowdedOut(): number {
    return this.#readings.crowdedOut
  }

  onSnapshot({ epoch, head, state, recent }: Snapshot): void {
    const heardUpTo = epoch === this.#epoch ? this.#head : 0
    for (const entry of state) if (entry.kind === 'position') this.#apply(entry)
    for (const entry of recent) if (entry.seq > heardUpTo) this.#apply(entry)
    this.#epoch = epoch
    this.#head = head
    this.hasSnapshot = true
    this.isConnected = true
  }

  onEntries(entries: readonly Entry[]): void {
    for (const entry of entries) this.#apply(entry)
    this.#head = entries.at(-1)?.seq ?? this.#head
  }

  onConnected(isConnected: boolean): void {
    this.isConnected = isConnected
  }

  /** Each vehicle with a position not older than `mapMs`, at its newest one. */
  positions(): Position[] {
    this.#sweep()
    return [...this.#positions.values()]
  }

  /** Newest first, one reading a timestamp. */
  readings(vehicle: string, sensor: string, period: Period): Series {
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
        const known = this.#positions.get(vehicle)
        if (known && known.timestamp > eventTs) return
        const { lat, long }: PositionUpdate = JSON.parse(json)
        this.#positions.set(vehicle, { vehicle, lat, long, timestamp: eventTs })
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
      if (this.#anomalies.size <= this.#bounds.maxAnomalies && arrivedAt >= now - this.#bounds.retentionMs) break
      this.#anomalies.delete(key)
    }
  }
}
