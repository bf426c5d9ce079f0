import { mergeKey, type Entry, type Snapshot } from '@flasktoria/live-log/log'
import { updateClass } from '@flasktoria/contracts/updates'

/** An entry that the hub remembers. A MERGE entry stops being current when a newer one of its key arrives. */
export type Kept = {
  readonly seq: number
  readonly entry: Entry
  readonly arrivedAtMs: number
  /** How many entries of its key it stands for, that nobody was sent because this one came before they were flushed. */
  readonly conflated: number
  isCurrent: boolean
}

export type WindowBounds = {
  /** How many entries are found by seq. Behind them, changes are found by walking the state. */
  ringLength: number
  maxEvents: number
  maxStateKeys: number
  /** A MERGE key that nothing arrived for is forgotten after this time. */
  stateRetentionMs: number
}

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
  /** By seq modulo its length; empty where an entry was late. Complete after `#ringFloor`. */
  #ring: (Kept | undefined)[]
  #ringFloor = 0
  /** Re-inserted on update, so that iteration goes by seq. */
  readonly #state = new Map<string, Kept>()
  readonly #stateByVehicle = new Map<string, Map<string, Kept>>()
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
    this.#head = snapshot.head
    this.#state.clear()
    this.#stateByVehicle.clear()
    this.#events = []
    this.#ring = Array.from({ length: this.#bounds.ringLength })
    const oldest = snapshot.recent[0]
    this.#trimmedTo = oldest ? oldest.seq - 1 : snapshot.head
    this.#ringFloor = Math.max(this.#trimmedTo, snapshot.head - this.#ring.length)
    for (const entry of snapshot.state) this.#keep(entry, nowMs, snapshot.head)
    for (const entry of snapshot.recent) if (!isMerge(entry)) this.#keep(entry, nowMs, snapshot.head)
  }

  /** `flushedTo`: entries after it were sent to nobody yet, so those that are replaced count as conflated. */
  append(entries: readonly Entry[], nowMs: number, flushedTo: number): void {
    for (const entry of entries) {
      this.#head = entry.seq
      this.#ringFloor = Math.max(this.#ringFloor, entry.seq - this.#ring.length)
      if (entry.isLate) this.#ring[entry.seq % this.#ring.length] = undefined
      else this.#keep(entry, nowMs, flushedTo)
    }
  }

  /** What is current and came after one seq, up to another, by seq. Not to be held while entries are appended. */
  *changes(afterSeq: number, toSeq: number): Generator<Kept> {
    if (afterSeq >= this.#ringFloor) {
      for (let seq = afterSeq + 1; seq <= toSeq; seq++) {
        const kept = this.#ring[seq % this.#ring.length]
        if (kept?.isCurrent) yield kept
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

  /** Forgets the keys that are too old or too many; answers how many. */
  sweep(nowMs: number): number {
    let forgotten = 0
    for (const [key, kept] of this.#state) {
      const isOld = kept.arrivedAtMs < nowMs - this.#bounds.stateRetentionMs
      if (!isOld && this.#state.size <= this.#bounds.maxStateKeys) break
      kept.isCurrent = false
      this.#state.delete(key)
      const ofVehicle = this.#stateByVehicle.get(kept.entry.vehicle)
      ofVehicle?.delete(key)
      if (ofVehicle?.size === 0) this.#stateByVehicle.delete(kept.entry.vehicle)
      forgotten++
    }
    return forgotten
  }

  #keep(entry: Entry, arrivedAtMs: number, flushedTo: number): void {
    const kept = isMerge(entry)
      ? this.#keepState(entry, arrivedAtMs, flushedTo)
      : this.#keepEvent({ seq: entry.seq, entry, arrivedAtMs, conflated: 0, isCurrent: true })
    if (kept.seq > this.#ringFloor) this.#ring[kept.seq % this.#ring.length] = kept
  }

  #keepState(entry: Entry, arrivedAtMs: number, flushedTo: number): Kept {
    const key = mergeKey(entry)
    const previous = this.#state.get(key)
    const conflated = previous && previous.seq > flushedTo ? previous.conflated + 1 : 0
    const kept = { seq: entry.seq, entry, arrivedAtMs, conflated, isCurrent: true }
    if (previous) previous.isCurrent = false
    this.#state.delete(key)
    this.#state.set(key, kept)
    let ofVehicle = this.#stateByVehicle.get(entry.vehicle)
    if (!ofVehicle) this.#stateByVehicle.set(entry.vehicle, (ofVehicle = new Map()))
    ofVehicle.set(key, kept)
    return kept
  }

  #keepEvent(kept: Kept): Kept {
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
      .flatMap((vehicle) => [...(this.#stateByVehicle.get(vehicle)?.values() ?? [])])
      .toSorted((one, other) => one.seq - other.seq)
  }
}

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
