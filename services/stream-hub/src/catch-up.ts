import type { ServerMessage } from '@flasktoria/contracts/stream'
import type { Arena } from './arena.ts'
import { FrameWriter, snapshotHead, snapshotTail, updatesHead, updatesTail } from './frames.ts'
import type { HubMetrics } from './hub-metrics.ts'
import type { LogWindow } from './log-window.ts'
import { formatResumeCursor } from './resume-cursor.ts'
import type { Behind, Session, Walk } from './session.ts'
import { seesAnomalies } from './view.ts'

type Deps = {
  window: LogWindow
  arena: Arena
  metrics: HubMetrics
  say: (session: Session, message: ServerMessage) => void
  giveUp: (session: Session) => void
}

/** Then the next session has its turn. */
const framesAtOnce = 16
/** Anomalies are appended out of order, by event time, by less than this. */
const eventDisorderMs = 15 * 60_000

/**
 * Brings a session that is behind forward, as long as its connection takes bytes: first its walks, then what changed after
 * its cursor, latest value only, every event. Frames are made when they are sent; nothing is ever queued for a session.
 */
export class CatchUp {
  readonly #window: LogWindow
  readonly #metrics: HubMetrics
  readonly #writer: FrameWriter
  readonly #say: Deps['say']
  readonly #giveUp: Deps['giveUp']

  constructor({ window, arena, metrics, say, giveUp }: Deps) {
    this.#window = window
    this.#metrics = metrics
    this.#writer = new FrameWriter(arena)
    this.#say = say
    this.#giveUp = giveUp
  }

  /** False: nothing more to do now, because the session has everything up to `toSeq`, or because it is blocked. */
  advance(session: Session, behind: Behind, toSeq: number, nowMs: number): boolean {
    this.#tellGap(session, behind)
    session.walkPartial(behind, this.#window)
    let framesLeft = framesAtOnce
    while (framesLeft > 0 && !behind.isBlocked && session.standing === behind) {
      const walk = behind.walks[0]
      if (walk) {
        this.#sendWalk(session, behind, walk, nowMs)
        framesLeft--
      } else if (behind.cursor < toSeq) framesLeft -= this.#sendChanges(session, behind, toSeq, framesLeft, nowMs)
      else return false
    }
    return !behind.isBlocked && session.standing === behind
  }

  /** Before the frames that jump over what is missing. */
  #tellGap(session: Session, behind: Behind): void {
    const { cursor } = behind
    if (!session.owesGap && Math.max(cursor, session.toldGapTo) >= this.#window.eventsFloor) return
    const lastTs = session.owesGap ? undefined : this.#window.eventTsBefore(cursor)
    const since = lastTs === undefined ? null : lastTs - eventDisorderMs
    session.owesGap = false
    session.toldGapTo = this.#window.eventsFloor
    if (!seesAnomalies(session.view.filters)) return
    this.#metrics.gaps.inc({ protocol: session.protocol })
    if (session.protocol === 'plain') return
    const readFrom = `/api/anomalies?start_ts=${since ?? 0}`
    this.#say(session, { type: 'gap', kind: 'anomaly', cursor: this.#format(session, behind), since, readFrom })
  }

  /** One frame of a walk. */
  #sendWalk(session: Session, behind: Behind, walk: Walk, nowMs: number): void {
    const { snapshot } = walk
    this.#writer.begin(snapshot ? snapshotHead : updatesHead[session.protocol])
    let isFull = false
    for (let kept = walk.heldBack; ;) {
      if (kept?.isCurrent && walk.sees(kept) && !this.#writer.add(kept.entry.json)) {
        walk.heldBack = kept
        isFull = true
        break
      }
      const next = walk.entries.next()
      if (next.done) break
      kept = next.value
    }
    if (!isFull) behind.walks.shift()
    const { updates } = this.#writer
    const cursor = this.#format(session, behind)
    if (snapshot) {
      const tail = snapshotTail({ ...snapshot, cursor, more: isFull })
      this.#send(session, behind, this.#writer.end(tail), updates, 'snapshot', nowMs)
      snapshot.part++
    } else if (updates > 0)
      this.#send(session, behind, this.#writer.end(updatesTail(cursor)), updates, 'unmuted', nowMs)
  }

  /** Answers how many frames it made of at most `maxFrames`. */
  #sendChanges(session: Session, behind: Behind, toSeq: number, maxFrames: number, nowMs: number): number {
    const send = (reachedSeq: number) => {
      const { updates } = this.#writer
      behind.cursor = reachedSeq
      const bytes = this.#writer.end(updatesTail(this.#format(session, behind)))
      this.#send(session, behind, bytes, updates, 'caught_up', nowMs)
    }
    let frames = 0
    let reachedSeq = behind.cursor
    this.#writer.begin(updatesHead[session.protocol])
    for (const kept of this.#window.changes(behind.cursor, toSeq)) {
      if (session.needs(kept) && !this.#writer.add(kept.entry.json)) {
        send(reachedSeq)
        if (++frames === maxFrames || behind.isBlocked) return frames
        this.#writer.begin(updatesHead[session.protocol])
        this.#writer.add(kept.entry.json)
      }
      reachedSeq = kept.seq
    }
    if (this.#writer.updates === 0) behind.cursor = toSeq
    else send(toSeq)
    return frames + 1
  }

  #send(
    session: Session,
    behind: Behind,
    bytes: Uint8Array,
    updates: number,
    how: 'snapshot' | 'unmuted' | 'caught_up',
    nowMs: number,
  ): void {
    const result = session.connection.send(bytes)
    if (result !== 'sent') {
      behind.isBlocked = true
      behind.progressAtMs = nowMs
    }
    // Nothing was buffered, and still it was refused: this connection is lost. The client resumes on the next one.
    if (result === 'refused') return this.#giveUp(session)
    this.#metrics.frames.inc({ protocol: session.protocol })
    this.#metrics.bytes.inc({ protocol: session.protocol }, bytes.length)
    this.#metrics.updates.inc({ how }, updates)
  }

  #format(session: Session, behind: Behind): string {
    const { epoch } = this.#window
    return formatResumeCursor({ epoch, seq: behind.cursor, isPartial: session.lacksState(behind) })
  }
}
