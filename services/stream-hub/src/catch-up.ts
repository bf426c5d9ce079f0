import type { ServerMessage } from '@flasktoria/contracts/stream'
import type { Arena } from './arena.ts'
import { boxHolds, type Box } from './box.ts'
import { boxedOf, isBeginning, readyWalk, type Behind, type Course, type Subscription, type Walk } from './course.ts'
import { cursorTail, FrameWriter, snapshotHead, snapshotTail, updatesHead, updatesTail } from './frames.ts'
import type { HubMetrics } from './hub-metrics.ts'
import { whereNow, type Kept, type LogWindow, type Places } from './log-window.ts'
import type { Session } from './session.ts'
import { sees } from './subscription.ts'
import type { Subscriptions } from './subscriptions.ts'
import { seesAnomalies } from './view.ts'

type Deps = {
  window: LogWindow
  arena: Arena
  metrics: HubMetrics
  subscriptions: Subscriptions
  cursorOf: (session: Session) => string
  say: (session: Session, message: ServerMessage) => void
  /** Sends the bytes that begin at the start of the arena. */
  send: (session: Session, bytes: Uint8Array, sent: Sent) => void
}
export type Sent = { updates: number; conflated: number; how: 'snapshot' | 'unmuted' | 'caught_up' }

/** What several courses need alike, without their cursors. */
type SharedFrame = { body: Uint8Array; toSeq: number; updates: number; conflated: number }

/** Then the next course has its turn. */
const framesAtOnce = 16
/** Anomalies are appended out of order, by event time, by less than this. */
const eventDisorderMs = 15 * 60_000
/** Changes over more than this are made for one course at a time. */
const maxSharedSpan = 4_096
const maxSharedWays = 256

/**
 * Brings a course that is behind forward, as long as its connection takes bytes: first its walks, then what changed after
 * its cursor, latest value only, every event. Frames are made when they are sent; nothing is ever queued for a session.
 */
export class CatchUp {
  readonly #deps: Deps
  readonly #writer: FrameWriter
  /** By who needs them: after a storm many stand at the same cursor and need the same. */
  readonly #shared = new Map<string, readonly SharedFrame[]>()

  constructor(deps: Deps) {
    this.#deps = deps
    this.#writer = new FrameWriter(deps.arena)
  }

  /** The log began anew. */
  forgetShared(): void {
    this.#shared.clear()
  }

  /** False: nothing more to do now: the course has what its lane was sent, or its session takes nothing. */
  advance(course: Course, behind: Behind): boolean {
    const { session } = course
    const { subscriptions } = this.#deps
    if (subscriptions.isAhead(session)) return false
    subscriptions.takeOwed(session)
    for (const { standing, has } of session.courses)
      if (standing.at === 'behind') standing.cursor = Math.max(standing.cursor, has)
    subscriptions.walkLacking(course, behind)
    for (let framesLeft = framesAtOnce; framesLeft > 0 && isGoing(course, behind);) {
      this.#tellGaps(course, behind)
      if (!isGoing(course, behind)) break
      const walk = readyWalk(behind)
      if (walk) {
        this.#sendWalk(session, behind, walk)
        framesLeft--
      } else if (session.courses.some(beginsNow)) return true
      else if (behind.cursor < targetOf(course, behind)) framesLeft -= this.#sendChanges(course, behind, framesLeft)
      else if (behind.pass) delete behind.pass
      else return false
    }
    return isGoing(course, behind)
  }

  /** Before the frames that jump over what is missing. */
  #tellGaps(course: Course, { cursor }: Behind): void {
    const { session, view } = course
    const { window } = this.#deps
    if (course === session.fastest) {
      const had = Math.max(cursor, session.toldGapTo.anomaly, ...this.#leastOf(session, ({ eventsTo }) => eventsTo))
      if (session.owesGap.anomaly || had < window.eventsFloor) {
        const lastTs = session.owesGap.anomaly ? undefined : window.eventTsBefore(cursor)
        session.owesGap.anomaly = false
        session.toldGapTo.anomaly = window.eventsFloor
        if (seesAnomalies(view.filters)) this.#tellGap(session, 'anomaly', lastTs)
      }
    }
    if (view.each.length === 0) {
      session.owesGap.sensordata = false
      return
    }
    const had = Math.max(cursor, session.toldGapTo.sensordata, ...this.#leastOf(session, ({ stateTo }) => stateTo))
    if (!session.owesGap.sensordata && had >= window.ringFloor) return
    session.owesGap.sensordata = false
    session.toldGapTo.sensordata = window.ringFloor
    this.#tellGap(session, 'sensordata', undefined)
  }

  #leastOf({ subscriptions }: Session, of: (subscription: Subscription) => number): number[] {
    return subscriptions.size === 0 ? [] : [Math.min(...[...subscriptions.values()].map(of))]
  }

  #tellGap(session: Session, kind: 'anomaly' | 'sensordata', lastTs: number | undefined): void {
    this.#deps.metrics.gaps.inc({ protocol: session.protocol })
    if (session.protocol === 'plain') return
    const since = lastTs === undefined ? null : lastTs - eventDisorderMs
    const readFrom = kind === 'anomaly' ? `/api/anomalies?start_ts=${since ?? 0}` : '/api/sensordata/{vehicle_id}'
    this.#deps.say(session, { type: 'gap', kind, cursor: this.#deps.cursorOf(session), since, readFrom })
  }

  /** One frame of a walk. */
  #sendWalk(session: Session, behind: Behind, walk: Walk): void {
    if (walk.shared) return this.#sendShared(session, behind, walk, walk.shared)
    const { snapshot } = walk
    this.#writer.begin(snapshot ? snapshotHead : updatesHead[session.protocol])
    let more = false
    for (let kept = walk.heldBack; ;) {
      if (kept?.isCurrent && walk.sees(kept)) {
        if (!this.#writer.add(kept.entry.json)) {
          walk.heldBack = kept
          more = true
          break
        }
        walk.untold?.delete(kept.entry.vehicle)
      }
      const next = walk.entries.next()
      if (next.done) break
      kept = next.value
    }
    if (!more) {
      dropWalk(behind, walk)
      this.#noteUntold(walk)
    }
    const { updates } = this.#writer
    if (snapshot) this.#send(session, snapshotTail({ ...snapshot, more }), { updates, conflated: 0, how: 'snapshot' })
    else if (updates > 0) this.#send(session, updatesTail(), { updates, conflated: 0, how: 'unmuted' })
    if (snapshot) snapshot.part++
  }

  /** Those of which there is something now, but was not when their turn came. */
  #noteUntold({ subscription, untold }: Walk): void {
    if (!subscription || !untold) return
    const { view: _, ...filter } = subscription.filter
    for (const { entry } of this.#deps.window.state(Infinity, untold))
      if (sees(filter, entry, undefined)) subscription.untold.add(entry.vehicle)
  }

  #sendShared(session: Session, behind: Behind, walk: Walk, shared: NonNullable<Walk['shared']>): void {
    const { arena } = this.#deps
    const { body, updates, more } = shared.frame(walk.snapshot!.part++, arena)
    if (!more) dropWalk(behind, walk)
    this.#sendBody(session, body, { updates, conflated: 0, how: 'snapshot' })
  }

  /** Answers how many frames it made of at most `maxFrames`. */
  #sendChanges(course: Course, behind: Behind, maxFrames: number): number {
    const { session, view } = course
    if (view.boxed.length > 0 && !this.#isPassing(course, behind)) return 1
    if (readyWalk(behind)) return 0
    const sharedKey = this.#sharedKeyOf(course, behind)
    if (sharedKey !== undefined) return this.#sendSharedChanges(course, behind, sharedKey, maxFrames)
    let frames = 0
    for (const frame of this.#changes(course, behind)) {
      behind.cursor = frame.toSeq
      if (frame.toSeq === behind.pass?.toSeq) delete behind.pass
      if (frame.updates === 0) continue
      this.#send(session, updatesTail(session.protocol === 'v2' ? frame.conflated : 0), { ...frame, how: 'caught_up' })
      if (++frames === maxFrames || !isGoing(course, behind)) break
    }
    return Math.max(1, frames)
  }

  /** Writes one frame after the other, without tail, up to where the course is to get. */
  *#changes(course: Course, behind: Behind): Generator<Omit<SharedFrame, 'body'>> {
    const { session } = course
    const { window } = this.#deps
    const toSeq = targetOf(course, behind)
    const placeOf: Places = behind.pass ? window.placesAt(toSeq) : whereNow
    let reachedSeq = behind.cursor
    let conflated = 0
    this.#writer.begin(updatesHead[session.protocol])
    for (const kept of window.changes(behind.cursor, toSeq)) {
      const need = session.needs(course, behind, kept, placeOf)
      if (need === 'conflated') conflated++
      if (need === 'yes' && !this.#writer.add(kept.entry.json)) {
        yield { toSeq: reachedSeq, updates: this.#writer.updates, conflated }
        conflated = 0
        this.#writer.begin(updatesHead[session.protocol])
        this.#writer.add(kept.entry.json)
      }
      reachedSeq = kept.seq
    }
    yield { toSeq, updates: this.#writer.updates, conflated }
  }

  /** False: what entered and left the boxes is not known any more, and they are taken anew. */
  #isPassing(course: Course, behind: Behind): boolean {
    const { window, subscriptions } = this.#deps
    if (!behind.pass) return this.#beginPass(course, behind)
    if (behind.pass.toSeq >= window.placesFloor) return true
    delete behind.pass
    for (const subscription of boxedOf(course)) subscriptions.retakeBox(course.session, subscription)
    return false
  }

  /** Tells what entered and left the boxes since the cursor. */
  #beginPass(course: Course, behind: Behind): boolean {
    const { window, subscriptions, say, cursorOf } = this.#deps
    const { session } = course
    const boxed = boxedOf(course)
    const toSeq = targetOf(course, behind)
    const lost = boxed.filter(({ stateTo }) => Math.max(behind.cursor, stateTo) < window.placesFloor)
    for (const subscription of lost) subscriptions.retakeBox(session, subscription)
    if (lost.length > 0 || toSeq < window.placesFloor) return lost.length === 0
    const entered = new Map<Subscription, ReadonlySet<string>>()
    behind.pass = { toSeq, entered }
    const placeOf = window.placesAt(toSeq)
    for (const subscription of boxed) {
      const box = subscription.filter.view!.box
      const moves = movesOf(window.between(Math.max(behind.cursor, subscription.stateTo), toSeq), box, placeOf)
      if (subscription.untold.size > 0)
        for (const vehicle of window.vehiclesIn(box, toSeq).intersection(subscription.untold))
          moves.entered.add(vehicle)
      subscription.untold.clear()
      if (moves.left.length > 0)
        say(session, { type: 'leave', id: subscription.id, vehicles: moves.left, cursor: cursorOf(session) })
      if (moves.entered.size === 0) continue
      entered.set(subscription, moves.entered)
      behind.walks.push({
        subscription,
        entries: window.state(toSeq, moves.entered),
        sees: ({ entry, where }) => session.sees(subscription, entry, placeOf(where)),
        snapshot: { id: subscription.id, part: 0, reason: 'entered' },
        untold: new Set(moves.entered),
      })
    }
    return true
  }

  /** Undefined: what it needs depends on more than its view and its cursor. */
  #sharedKeyOf({ session, view, subscriptions, lane }: Course, { cursor, walks }: Behind): string | undefined {
    const isOrdinary =
      walks.length === 0 &&
      session.courses.length === 1 &&
      subscriptions.length <= 1 &&
      view.boxed.length === 0 &&
      subscriptions.every(({ stateTo, eventsTo }) => Math.max(stateTo, eventsTo) <= cursor)
    if (!isOrdinary || cursor < this.#deps.window.ringFloor || lane.flushedTo - cursor > maxSharedSpan) return undefined
    return `${session.protocol} ${cursor} ${lane.flushedTo} ${view.signature}`
  }

  #sendSharedChanges(course: Course, behind: Behind, key: string, maxFrames: number): number {
    const { session } = course
    let shared = this.#shared.get(key)
    if (!shared) {
      if (this.#shared.size >= maxSharedWays) this.#shared.clear()
      this.#shared.set(key, (shared = [...this.#changeFrames(course, behind)]))
    }
    let frames = 0
    for (const { body, ...frame } of shared) {
      behind.cursor = frame.toSeq
      if (frame.updates === 0) continue
      this.#sendBody(session, body, { ...frame, how: 'caught_up' })
      if (++frames === maxFrames || !isGoing(course, behind)) break
    }
    return Math.max(1, frames)
  }

  *#changeFrames(course: Course, behind: Behind): Generator<SharedFrame> {
    for (const frame of this.#changes(course, behind)) {
      const tail = updatesTail(course.session.protocol === 'v2' ? frame.conflated : 0)
      yield { ...frame, body: Buffer.from(this.#writer.end(tail)) }
    }
  }

  #sendBody(session: Session, body: Uint8Array, sent: Sent): void {
    const { arena } = this.#deps
    arena.rewind(0)
    arena.append(body)
    arena.write(cursorTail(this.#deps.cursorOf(session)))
    this.#deps.send(session, arena.view(0, arena.length), sent)
  }

  #send(session: Session, tail: string, sent: Sent): void {
    this.#deps.send(session, this.#writer.end(tail + cursorTail(this.#deps.cursorOf(session))), sent)
  }
}

/** Before that, nothing may come on another course of the session: it would be for what the client had before. */
function beginsNow({ standing }: Course): boolean {
  const walk = standing.at === 'behind' && readyWalk(standing)
  return walk ? isBeginning(walk) : false
}

/** As far as its lane, or as far as the next walk waits for. */
const targetOf = ({ lane }: Course, { pass, walks, cursor }: Behind): number =>
  pass?.toSeq ?? (walks.length === 0 ? lane.flushedTo : Math.min(...walks.map(({ seq = cursor }) => seq)))

function dropWalk(behind: Behind, walk: Walk): void {
  behind.walks = behind.walks.filter((one) => one !== walk)
}

const isGoing = ({ session, standing }: Course, behind: Behind) => session.takesData && standing === behind

/** Of what happened: which vehicles came into a box, and which left it. */
function movesOf(kept: readonly Kept[], box: Box, placeOf: Places): { entered: Set<string>; left: string[] } {
  const seen = new Set<string>()
  const entered = new Set<string>()
  const left: string[] = []
  for (const { entry, where, before } of kept) {
    if (entry.kind !== 'position' || seen.has(entry.vehicle)) continue
    seen.add(entry.vehicle)
    const place = placeOf(where)
    const [was, is] = [before && boxHolds(box, before), place && boxHolds(box, place)]
    if (is && !was) entered.add(entry.vehicle)
    if (was && !is) left.push(entry.vehicle)
  }
  return { entered, left }
}
