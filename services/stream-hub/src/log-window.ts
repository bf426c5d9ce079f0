import { mergeKey, type Entry, type Snapshot } from '@flasktoria/live-log/log'
import { updateClass } from '@flasktoria/contracts/updates'
import { boxHolds, placeIn, type Box, type Place } from './box.ts'
import { PlaceIndex } from './grid.ts'

/** Where the vehicle of an entry is now; of an event, where it was when that was read. */
export type Whereabouts = { readonly vehicle: string; place: Place | undefined }

/**
 * An entry that the hub remembers. A MERGE entry stops being current when a newer one of its key arrives; a reading that
 * comes late never is.
 */
export type Kept = {
  readonly seq: number
  readonly entry: Entry
  readonly arrivedAtMs: number
  readonly where: Whereabouts
  /** Of a position: where its vehicle was before it. */
  readonly before: Place | undefined
  isCurrent: boolean
}

/** Where vehicles were at some seq. */
export type Places = (where: Whereabouts) => Place | undefined

export type WindowBounds = {
  /** How many entries are found by seq. Behind them, changes are found by walking the state. */
  ringLength: number
  maxEvents: number
  maxStateKeys: number
  /** A MERGE key that nothing arrived for is forgotten after this time. */
  stateRetentionMs: number
}

/** What is known of a vehicle: where it is, and the latest entry of each of its keys. */
type Vehicle = Whereabouts & { readonly keys: Map<string, Kept> }

type Moved = ReadonlyMap<Whereabouts, Place | undefined>

const nobodyMoved: { seq: number; head: number; before: Moved } = { seq: 0, head: 0, before: new Map() }
const maxForgotten = 256

const isMerge = (entry: Entry) => updateClass[entry.kind] === 'merge'

/**
 * What a hub remembers of the live log: the state (latest entry of each MERGE key, oldest first), the last events, and the
 * last entries by seq. From these it can say what changed after any seq, however long ago: MERGE keys need no history.
 */
export class LogWindow {
  readonly #bounds: WindowBounds
  #epoch = ''
  #head = 0
  /** By seq modulo its length. Complete after `#ringFloor`. */
  #ring: (Kept | undefined)[]
  #ringFloor = 0
  /** Re-inserted on update, so that iteration goes by seq. */
  readonly #state = new Map<string, Kept>()
  readonly #vehicles = new Map<string, Vehicle>()
  readonly #places = new PlaceIndex<Vehicle>()
  /** Before it, nobody knows where vehicles were. */
  #placesFloor = 0
  #moved = nobodyMoved
  #events: Kept[] = []
  /** Every event after this seq is in `#events`. */
  #trimmedTo = 0
  /** The last one of each lot of events that was forgotten. */
  #forgotten: { seq: number; eventTs: number }[] = []

  constructor(bounds: WindowBounds) {
    this.#bounds = bounds
    this.#ring = Array.from({ length: bounds.ringLength })
  }

  get epoch(): string {
    return this.#epoch
  }
  get head(): number {
    return this.#head
  }
  get stateKeys(): number {
    return this.#state.size
  }

  load(snapshot: Snapshot, nowMs: number): void {
    if (snapshot.epoch === this.#epoch) this.#forget(this.#events)
    else this.#forgotten = []
    this.#epoch = snapshot.epoch
    this.#clear()
    const oldest = snapshot.recent[0]
    this.#trimmedTo = oldest ? oldest.seq - 1 : snapshot.head
    this.#ringFloor = Math.max(this.#trimmedTo, snapshot.head - this.#ring.length)
    for (const entry of snapshot.state) if (entry.seq <= this.#trimmedTo) this.#keep(entry, nowMs)
    for (const entry of snapshot.recent) this.#keep(entry, nowMs)
    this.#head = this.#placesFloor = snapshot.head
  }

  append(entries: readonly Entry[], nowMs: number): void {
    for (const entry of entries) {
      this.#head = entry.seq
      this.#ringFloor = Math.max(this.#ringFloor, entry.seq - this.#ring.length)
      this.#keep(entry, nowMs)
    }
  }

  /** From here on, everything is found by seq. */
  get ringFloor(): number {
    return this.#ringFloor
  }
  /** From here on, it is known where each vehicle was. */
  get placesFloor(): number {
    return Math.max(this.#placesFloor, this.#ringFloor)
  }

  /** Everything after one seq, up to another, what is not current any more included; empty if that is not remembered. */
  between(afterSeq: number, toSeq: number): Kept[] {
    if (afterSeq < this.#ringFloor) return []
    const found: Kept[] = []
    for (let seq = afterSeq + 1; seq <= toSeq; seq++) {
      const kept = this.#ring[seq % this.#ring.length]
      if (kept) found.push(kept)
    }
    return found
  }

  /**
   * What came after one seq, up to another, by seq: all that is remembered, or where that ends, what is current. Not to be
   * held while entries are appended.
   */
  *changes(afterSeq: number, toSeq: number): Generator<Kept> {
    if (afterSeq >= this.#ringFloor) {
      for (let seq = afterSeq + 1; seq <= toSeq; seq++) {
        const kept = this.#ring[seq % this.#ring.length]
        if (kept) yield kept
      }
      return
    }
    let nextEvent = firstAfter(this.#events, afterSeq)
    for (const kept of this.#state.values()) {
      if (kept.seq > toSeq) break
      if (kept.seq <= afterSeq) continue
      for (let event; (event = this.#events[nextEvent]) && event.seq < kept.seq; nextEvent++) yield event
      yield kept
    }
    for (let event; (event = this.#events[nextEvent]) && event.seq <= toSeq; nextEvent++) yield event
  }

  /**
   * The part of the state that has not changed after a seq, of some vehicles or of all, by seq. May be held while entries are
   * appended: what is replaced meanwhile is left out, and what replaces it is not part of it.
   */
  *state(toSeq: number, vehicles?: ReadonlySet<string>): Generator<Kept> {
    for (const kept of vehicles ? this.#stateOf(vehicles) : this.#state.values()) {
      if (kept.seq > toSeq) return
      if (kept.isCurrent) yield kept
    }
  }

  /** Where vehicles were at a seq that is not before `placesFloor`. */
  placesAt(seq: number): Places {
    const moved = this.#movedSince(seq)
    return moved.size === 0 ? whereNow : (where) => (moved.has(where) ? moved.get(where) : where.place)
  }

  /** The vehicles that were in a box, and not in another one, at a seq that is not before `placesFloor`. */
  vehiclesIn(box: Box, seq = this.#head, other?: Box): Set<string> {
    const moved = this.#movedSince(seq)
    const found = new Set<string>()
    const isSought = (place: Place | undefined) => place && boxHolds(box, place) && !(other && boxHolds(other, place))
    this.#places.forEachNear(box, (vehicle) => {
      if (isSought(vehicle.place) && !moved.has(vehicle)) found.add(vehicle.vehicle)
    })
    for (const [{ vehicle }, place] of moved) if (isSought(place)) found.add(vehicle)
    return found
  }

  /** Where they were before, of the vehicles that moved after a seq. Most who ask between two flushes ask for the same. */
  #movedSince(seq: number): Moved {
    if (this.#moved.seq === seq && this.#moved.head === this.#head) return this.#moved.before
    const moved = new Map<Whereabouts, Place | undefined>()
    for (const { entry, where, before } of this.between(seq, this.#head))
      if (entry.kind === 'position' && !moved.has(where)) moved.set(where, before)
    this.#moved = { seq, head: this.#head, before: moved }
    return moved
  }

  /** Every event after this seq is remembered. */
  get eventsFloor(): number {
    return Math.min(this.#trimmedTo, this.#ringFloor)
  }

  /** The event time of an event up to this seq, the newest one of which that is still known. */
  eventTsBefore(seq: number): number | undefined {
    return (
      this.#events[firstAfter(this.#events, seq) - 1]?.entry.eventTs ??
      this.#forgotten.findLast((event) => event.seq <= seq)?.eventTs
    )
  }

  /** Forgets the keys that are too old or too many; answers how many, and of which vehicles nothing is left. */
  sweep(nowMs: number): { keys: number; vehicles: string[] } {
    let keys = 0
    const vehicles: string[] = []
    for (const [key, kept] of this.#state) {
      const isOld = kept.arrivedAtMs < nowMs - this.#bounds.stateRetentionMs
      if (!isOld && this.#state.size <= this.#bounds.maxStateKeys) break
      kept.isCurrent = false
      this.#state.delete(key)
      const vehicle = this.#vehicles.get(kept.entry.vehicle)
      if (vehicle && kept.entry.kind === 'position') this.#place(vehicle, undefined)
      vehicle?.keys.delete(key)
      if (vehicle?.keys.size === 0) {
        this.#vehicles.delete(vehicle.vehicle)
        vehicles.push(vehicle.vehicle)
      }
      keys++
    }
    return { keys, vehicles }
  }

  #clear(): void {
    this.#state.clear()
    for (const vehicle of this.#vehicles.values()) this.#place(vehicle, undefined)
    this.#vehicles.clear()
    this.#moved = nobodyMoved
    this.#events = []
    this.#ring = Array.from({ length: this.#bounds.ringLength })
  }

  #keep(entry: Entry, arrivedAtMs: number): void {
    const kept = this.#remember(entry, arrivedAtMs)
    if (kept.seq > this.#ringFloor) this.#ring[kept.seq % this.#ring.length] = kept
  }

  #remember(entry: Entry, arrivedAtMs: number): Kept {
    if (!isMerge(entry)) return this.#keepEvent(entry, arrivedAtMs)
    return entry.isLate ? this.#lateOne(entry, arrivedAtMs) : this.#keepState(entry, arrivedAtMs)
  }

  #lateOne(entry: Entry, arrivedAtMs: number): Kept {
    const where = this.#vehicles.get(entry.vehicle) ?? { vehicle: entry.vehicle, place: undefined }
    return { seq: entry.seq, entry, arrivedAtMs, where, before: undefined, isCurrent: false }
  }

  #keepState(entry: Entry, arrivedAtMs: number): Kept {
    const key = mergeKey(entry)
    let vehicle = this.#vehicles.get(entry.vehicle)
    if (!vehicle)
      this.#vehicles.set(entry.vehicle, (vehicle = { vehicle: entry.vehicle, place: undefined, keys: new Map() }))
    const kept = { seq: entry.seq, entry, arrivedAtMs, where: vehicle, before: vehicle.place, isCurrent: true }
    const previous = this.#state.get(key)
    if (previous) previous.isCurrent = false
    this.#state.delete(key)
    this.#state.set(key, kept)
    vehicle.keys.set(key, kept)
    if (entry.kind === 'position') this.#place(vehicle, placeIn(entry.json))
    return kept
  }

  #place(vehicle: Vehicle, place: Place | undefined): void {
    this.#places.move(vehicle, vehicle.place, place)
    vehicle.place = place
  }

  #keepEvent(entry: Entry, arrivedAtMs: number): Kept {
    const where = { vehicle: entry.vehicle, place: this.#vehicles.get(entry.vehicle)?.place }
    const kept = { seq: entry.seq, entry, arrivedAtMs, where, before: undefined, isCurrent: true }
    this.#events.push(kept)
    // Trimmed in strides: an array that loses its first element at every push is copied at every push.
    if (this.#events.length >= this.#bounds.maxEvents * 1.25) {
      this.#forget(this.#events.slice(0, -this.#bounds.maxEvents))
      this.#events = this.#events.slice(-this.#bounds.maxEvents)
      this.#trimmedTo = this.#events[0]!.seq - 1
    }
    return kept
  }

  #forget(events: readonly Kept[]): void {
    const last = events.at(-1)
    if (!last) return
    this.#forgotten.push({ seq: last.seq, eventTs: last.entry.eventTs })
    if (this.#forgotten.length > maxForgotten) this.#forgotten.shift()
  }

  #stateOf(vehicles: ReadonlySet<string>): Kept[] {
    return [...vehicles]
      .flatMap((vehicle) => [...(this.#vehicles.get(vehicle)?.keys.values() ?? [])])
      .toSorted((one, other) => one.seq - other.seq)
  }
}

export const whereNow: Places = ({ place }) => place

/** Index of the first one after a seq; they stand by seq. */
function firstAfter(events: readonly { seq: number }[], seq: number): number {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (events[middle]!.seq <= seq) low = middle + 1
    else high = middle
  }
  return low
}
