import { vehicleStatusSchema, type VehicleStatus } from '@flasktoria/contracts/updates'
import type { Entry, LogListener, Snapshot } from '@flasktoria/live-log/log'

export type PresenceLimits = { staleMinMs: number; staleMaxMs: number; offlineMinMs: number; offlineMaxMs: number }

/** How many of its usual silences a vehicle may be silent. */
const staleIntervals = 3
const offlineIntervals = 10
/** How far back a usual silence is remembered, and how much of that the assumption about a new vehicle is worth. */
const memoryMs = 60_000
const assumptionMs = 2_000
/** A turn that comes later than this was late itself: what was sent meanwhile may still be on its way to us. */
const maxStepMs = 2_000
/** As long as the log remembers a vehicle. */
const retentionMs = 86_400_000

export type Vehicle = {
  id: string
  status: VehicleStatus
  heardAt: number
  /** How long it is usually silent, and what that is based on. */
  silenceMs: number
  basisMs: number
}

const severity: Record<VehicleStatus, number> = { online: 0, stale: 1, offline: 2 }
const isWorse = (one: VehicleStatus, other: VehicleStatus) => severity[one] > severity[other]

/**
 * Who is there, measured by how often each vehicle reports: a status gets worse with silence, and better by a report only.
 *
 * Its clock runs while the log lives and we watch: `advance` moves it, a second at a time. What nobody could hear is no silence,
 * so neither an outage of the log nor a change of the watcher makes a wave of changes: it costs a vehicle that is gone some
 * time. A feed that is silent while the log lives is silence.
 *
 * A usual silence is the mean of the silences between reports, each weighted by its own length: of many records in one second
 * and then none for a minute, it makes a minute. Of a vehicle that is new nothing is known, so it is given all the time there
 * is until it has shown what it does.
 *
 * Pure: hears the log as its listener; no timers, no clock.
 */
export class Presence implements LogListener {
  readonly #limits: PresenceLimits
  readonly #longestMs: number
  #vehicles = new Map<string, Vehicle>()
  /** Whose status is not in the log yet, as far as we know. */
  readonly #changed = new Set<Vehicle>()
  #now = 0
  /** The log's clock when we looked last; undefined: what has passed since does not count. */
  #logTime: number | undefined
  #epoch: string | undefined
  #head = 0

  constructor(limits: PresenceLimits) {
    this.#limits = limits
    this.#longestMs = Math.max(limits.staleMaxMs / staleIntervals, limits.offlineMaxMs / offlineIntervals)
  }

  onSnapshot({ epoch, head, state, recent }: Snapshot): void {
    const isFirst = this.#epoch === undefined
    if (isFirst) this.#learn(state, recent)
    const known = this.#vehicles
    const isNew = (seq: number) => seq > this.#head || epoch !== this.#epoch
    this.#vehicles = new Map()
    this.#changed.clear()
    for (const [id, { report, status }] of lastWords(state)) {
      const vehicle = known.get(id) ?? this.#create(id)
      // Nobody can say how much of the silence before us was heard by anybody. Where something was said of it, that stands.
      if (isFirst) vehicle.heardAt = (!status && report?.appendedAt) || this.#now
      else if (isNew(report?.seq ?? 0)) vehicle.heardAt = this.#now
      this.#vehicles.set(vehicle.id, vehicle)
      this.#compare(vehicle, status && statusIn(status.json), (report?.seq ?? 0) > (status?.seq ?? 0))
    }
    this.#epoch = epoch
    this.#head = head
  }

  onEntries(entries: readonly Entry[]): void {
    for (const { kind, vehicle, json } of entries) {
      if (isReport(kind)) this.#hear(this.#vehicles.get(vehicle) ?? this.#add(vehicle), this.#now)
      else if (kind === 'vehiclestatus') this.#agree(vehicle, statusIn(json))
    }
    this.#head = entries.at(-1)?.seq ?? this.#head
  }

  /** `logTime`: the log's clock, when everything that it took before is here, or nearly; undefined: the log is away. */
  advance(logTime: number | undefined): void {
    const passedMs = logTime === undefined || this.#logTime === undefined ? 0 : logTime - this.#logTime
    this.#logTime = logTime
    if (passedMs <= 0 || this.#epoch === undefined) return
    this.#now += Math.min(passedMs, maxStepMs)
    for (const vehicle of this.#vehicles.values()) {
      const measured = this.#measure(vehicle)
      if (isWorse(measured, vehicle.status)) this.#change(vehicle, measured)
      else if (measured === 'offline' && this.#now - vehicle.heardAt > retentionMs) this.#forget(vehicle)
    }
  }

  /** The vehicles whose status the log should have. Each comes once, until it changes again or `giveBack` returns it. */
  takeChanges(): Vehicle[] {
    const changes = [...this.#changed]
    this.#changed.clear()
    return changes
  }

  giveBack(changes: readonly Vehicle[]): void {
    for (const vehicle of changes) if (this.#vehicles.get(vehicle.id) === vehicle) this.#changed.add(vehicle)
  }

  count(): Record<VehicleStatus, number> {
    const counts = { online: 0, stale: 0, offline: 0 }
    for (const { status } of this.#vehicles.values()) counts[status]++
    return counts
  }

  /** How often who reports, from what the log remembers. The clock goes on where the log took something last. */
  #learn(state: readonly Entry[], recent: readonly Entry[]): void {
    for (const { kind, vehicle, appendedAt } of recent)
      if (isReport(kind) && appendedAt > 0)
        this.#hear(this.#vehicles.get(vehicle) ?? this.#add(vehicle, appendedAt), appendedAt)
    for (const { appendedAt } of [...state, ...recent.slice(-1)]) this.#now = Math.max(this.#now, appendedAt)
  }

  /** `logged`: what the log says of it; `hasReported`: since then. */
  #compare(vehicle: Vehicle, logged: VehicleStatus | undefined, hasReported: boolean): void {
    const measured = this.#measure(vehicle)
    const isKept = logged !== undefined && !isWorse(measured, logged) && !hasReported
    vehicle.status = isKept ? logged : measured
    if (vehicle.status !== logged) this.#changed.add(vehicle)
  }

  #measure({ heardAt, silenceMs }: Vehicle): VehicleStatus {
    const { staleMinMs, staleMaxMs, offlineMinMs, offlineMaxMs } = this.#limits
    const silentMs = this.#now - heardAt
    if (silentMs < Math.min(staleMaxMs, Math.max(staleMinMs, staleIntervals * silenceMs))) return 'online'
    return silentMs < Math.min(offlineMaxMs, Math.max(offlineMinMs, offlineIntervals * silenceMs)) ? 'stale' : 'offline'
  }

  #hear(vehicle: Vehicle, at: number): void {
    const silentMs = Math.min(at - vehicle.heardAt, this.#longestMs)
    if (silentMs > 0) {
      vehicle.silenceMs += ((silentMs - vehicle.silenceMs) * silentMs) / (vehicle.basisMs + silentMs)
      vehicle.basisMs = Math.min(vehicle.basisMs + silentMs, memoryMs)
      vehicle.heardAt = at
    }
    if (vehicle.status !== 'online') this.#change(vehicle, 'online')
  }

  /** Somebody said so in the log: we, or one who watched before us and woke up late. */
  #agree(id: string, logged: VehicleStatus | undefined): void {
    const vehicle = this.#vehicles.get(id)
    if (vehicle && vehicle.status !== logged) this.#changed.add(vehicle)
  }

  #change(vehicle: Vehicle, status: VehicleStatus): void {
    vehicle.status = status
    this.#changed.add(vehicle)
  }

  #add(id: string, heardAt?: number): Vehicle {
    const vehicle = this.#create(id, heardAt)
    this.#vehicles.set(vehicle.id, vehicle)
    this.#changed.add(vehicle)
    return vehicle
  }

  #create(id: string, heardAt = this.#now): Vehicle {
    // The id is a slice of a whole batch, which would live as long as it does.
    const ownId = Buffer.from(id).toString()
    return { id: ownId, status: 'online', heardAt, silenceMs: this.#longestMs, basisMs: assumptionMs }
  }

  #forget(vehicle: Vehicle): void {
    this.#vehicles.delete(vehicle.id)
    this.#changed.delete(vehicle)
  }
}

/** What a vehicle sends itself. Anomalies come from elsewhere, and statuses are ours. */
const isReport = (kind: Entry['kind']): boolean => kind === 'position' || kind === 'sensordata'

const statusIn = (json: string): VehicleStatus | undefined =>
  vehicleStatusSchema.options.find((status) => json.includes(`"value":"${status}"`))

type LastWords = { report?: Entry; status?: Entry }

/** By vehicle: the last report in the state, and the status. */
function lastWords(state: readonly Entry[]): Map<string, LastWords> {
  const words = new Map<string, LastWords>()
  for (const entry of state) {
    const isStatus = entry.kind === 'vehiclestatus'
    if (!isStatus && !isReport(entry.kind)) continue
    const known = words.get(entry.vehicle) ?? {}
    words.set(entry.vehicle, known)
    if (isStatus) known.status = entry
    // The state is in order of seq.
    else known.report = entry
  }
  return words
}
