import type { Subscribe } from '@flasktoria/contracts/stream'
import { updateClass } from '@flasktoria/contracts/updates'
import type { MuteRules } from '@flasktoria/live-log/mutes'
import { Allowance } from './allowance.ts'
import type { Protocol, SnapshotPart } from './frames.ts'
import type { Group } from './groups.ts'
import type { Kept, LogWindow } from './log-window.ts'
import { parseResumeCursor, type ResumeCursor } from './resume-cursor.ts'
import { createFilter, everything, sees, type Filter } from './subscription.ts'
import type { Connection } from './transport.ts'
import { createView, isMuted, seesAnomalies, viewSees, type View } from './view.ts'

/**
 * Where a session stands:
 *
 *            ┌──────── a send was queued, a subscription was made, a mute taken back ────────┐
 *            │                                                                               ▼
 *   open ► live ◄──────────── nothing to walk, cursor = what the groups were sent ──────── behind ◄ open
 *            └───────────────────────────────► closed ◄──────────────────────────────────────┘
 *
 * A live session costs a place in its group. One that is behind costs a cursor: whatever it missed is found in the log
 * window when its connection takes bytes again.
 */
export type Standing = { at: 'live'; group: Group<Session> } | Behind | { at: 'closed' }

export type Behind = {
  at: 'behind'
  /** Everything up to here was sent, as far as a subscription wants it. May lie ahead of what the groups were sent. */
  cursor: number
  /** The connection holds bytes that it could not send. */
  isBlocked: boolean
  /** When the connection last took bytes. */
  progressAtMs: number
  /** Sent before anything else, in order. */
  walks: Walk[]
}

/** A part of the state up to the session's cursor that the client has to be sent, whenever it changed last. */
export type Walk = {
  entries: Iterator<Kept>
  /** The one that the last frame had no room for. */
  heldBack?: Kept
  sees: (kept: Kept) => boolean
  /** Absent: sent as updates. */
  snapshot?: Omit<SnapshotPart, 'cursor' | 'more'>
}

export type Subscription = {
  readonly id: string
  readonly filter: Filter
  /** The client has everything after `fromSeq` up to `servedTo`: it was sent, or its cursor says so. */
  fromSeq: number
  servedTo: number
  /** Something was hidden from the client when it left: it needs the whole state, as soon as this hub has got so far. */
  isPartial: boolean
  /** Resumes at a seq that this hub has not seen yet; another hub has. */
  isAheadUntilMs?: number
}

export type SessionLimits = { messagesPerSecond: number; errorsBurst: number; errorsPerMinute: number }

/** How long a cursor may lie ahead of what this hub has seen: another hub can be quicker by as much. */
const aheadForMs = 2_000

/** One client connection: what it wants to see, and where it stands. Sends nothing by itself. */
export class Session {
  readonly connection: Connection
  readonly protocol: Protocol
  readonly subscriptions = new Map<string, Subscription>()
  readonly messages: Allowance
  readonly errors: Allowance
  standing: Standing
  view: View
  #mutes: MuteRules | undefined
  /** Nothing but control messages is sent before the mutes of its client are known. */
  awaitsMutes: boolean
  /** It has to be told that events may be missing, whatever the window remembers. */
  owesGap = false
  /** Events missing up to here were told of. */
  toldGapTo = 0
  heardAtMs: number
  pingedAtMs: number
  isPingOpen = false

  constructor(
    connection: Connection,
    protocol: Protocol,
    awaitsMutes: boolean,
    cursor: number,
    limits: SessionLimits,
    nowMs: number,
  ) {
    this.connection = connection
    this.protocol = protocol
    this.standing = standBehind(cursor, nowMs)
    this.awaitsMutes = awaitsMutes
    this.messages = new Allowance(limits.messagesPerSecond, limits.messagesPerSecond)
    this.errors = new Allowance(limits.errorsBurst, limits.errorsPerMinute / 60)
    this.heardAtMs = nowMs
    this.pingedAtMs = nowMs
    this.view = this.#createView()
  }

  /** Before the groups are here, a subscription has more than they were sent. */
  get servedTo(): number {
    return Math.max(0, ...[...this.subscriptions.values()].map(({ servedTo }) => servedTo))
  }

  /**
   * Whether an entry after the session's cursor has to be sent. A subscription that resumes further back than the others
   * takes the cursor back with it; an event that the client has by another one is not sent again.
   */
  needs({ seq, entry }: Kept): boolean {
    if (!viewSees(this.view, entry)) return false
    if (this.protocol === 'plain') return true
    let isNeeded = false
    for (const { filter, fromSeq, servedTo } of this.subscriptions.values()) {
      if (seq <= fromSeq || !sees(filter, entry)) continue
      if (seq > servedTo) isNeeded = true
      else if (updateClass[entry.kind] === 'event') return false
    }
    return isNeeded
  }

  subscribe({ id, cursor: resumeAt, ...wishes }: Subscribe, behind: Behind, window: LogWindow, nowMs: number): void {
    // The first one begins now; the next ones where the session stands.
    if (this.subscriptions.size === 0 || behind.cursor > window.head) behind.cursor = window.head
    const { cursor } = behind
    const subscription = { id, filter: createFilter(wishes), fromSeq: cursor, servedTo: cursor, isPartial: false }
    this.subscriptions.set(id, subscription)
    this.view = this.#createView()
    const resume = resumeAt === undefined ? undefined : parseResumeCursor(resumeAt)
    if (resume?.epoch === window.epoch) this.#resume(subscription, behind, resume, window, nowMs)
    else if (resumeAt === undefined) this.#walkSnapshot(subscription, behind, 'subscribed', window)
    else this.#walkSnapshot(subscription, behind, resume ? 'epoch' : 'cursor_unknown', window)
  }

  unsubscribe(id: string): void {
    this.subscriptions.delete(id)
    this.view = this.#createView()
    if (this.standing.at === 'behind')
      this.standing.walks = this.standing.walks.filter(({ snapshot }) => snapshot?.id !== id)
  }

  /** True: something that was muted may be visible now; `walkUncovered` sends it. */
  setMutes(mutes: MuteRules): boolean {
    const before = this.#mutes
    this.#mutes = mutes
    this.view = this.#createView()
    this.awaitsMutes = false
    return before !== undefined && before.size > 0
  }

  /** The present state of what was not visible in an earlier view. */
  walkUncovered(before: View, behind: Behind, window: LogWindow): void {
    const waiting = behind.walks.findIndex(({ snapshot }) => !snapshot)
    // While one waits, what the client knows lies two views back: then all that it sees is sent.
    if (waiting >= 0) behind.walks.splice(waiting, 1)
    const muted = new Set([...(before.mutes ?? [])].map(({ vehicle }) => vehicle))
    behind.walks.push({
      entries: window.state(behind.cursor, waiting >= 0 ? undefined : muted),
      sees: ({ entry }) => viewSees(this.view, entry) && (waiting >= 0 || isMuted(before.mutes, entry)),
    })
  }

  /** For the subscriptions that resume where something was hidden: the state, from a hub that is not behind the client. */
  walkPartial(behind: Behind, window: LogWindow): void {
    for (const subscription of this.subscriptions.values()) {
      const { filter, servedTo, isPartial } = subscription
      if (!isPartial || servedTo > window.head) continue
      subscription.isPartial = false
      behind.walks.push({
        entries: window.state(Math.max(behind.cursor, servedTo), filter.vehicles),
        sees: ({ entry }) => sees(filter, entry) && viewSees(this.view, entry),
      })
    }
  }

  /** The client may lack something that has not changed for long. */
  lacksState({ walks }: Behind): boolean {
    if (this.view.mutes || walks.length > 0) return true
    return [...this.subscriptions.values()].some(({ isPartial }) => isPartial)
  }

  /** The log began anew: nothing that was sent counts any more. */
  beginAnew(behind: Behind, window: LogWindow): void {
    behind.cursor = window.head
    behind.walks = []
    this.toldGapTo = 0
    for (const subscription of this.subscriptions.values()) this.#walkSnapshot(subscription, behind, 'epoch', window)
  }

  /** A cursor that lay ahead, and that the log did not reach in time, was none. */
  stopWaiting(behind: Behind, window: LogWindow, nowMs: number): void {
    for (const subscription of this.subscriptions.values()) {
      if (subscription.isAheadUntilMs === undefined || nowMs < subscription.isAheadUntilMs) continue
      if (subscription.servedTo > window.head) this.#walkSnapshot(subscription, behind, 'cursor_unknown', window)
      delete subscription.isAheadUntilMs
    }
  }

  #resume(
    subscription: Subscription,
    behind: Behind,
    { seq, isPartial }: ResumeCursor,
    window: LogWindow,
    nowMs: number,
  ): void {
    subscription.isPartial = isPartial
    subscription.fromSeq = 0
    subscription.servedTo = seq
    if (seq > window.head) {
      subscription.isAheadUntilMs = nowMs + aheadForMs
      if (this.subscriptions.size === 1) behind.cursor = seq
    } else if (seq < behind.cursor) {
      for (const other of this.subscriptions.values())
        if (other !== subscription) other.servedTo = Math.max(other.servedTo, behind.cursor)
      behind.cursor = seq
      this.toldGapTo = 0
    }
  }

  #walkSnapshot(subscription: Subscription, behind: Behind, reason: SnapshotPart['reason'], window: LogWindow): void {
    const { id, filter } = subscription
    behind.cursor = Math.min(behind.cursor, window.head)
    subscription.fromSeq = subscription.servedTo = behind.cursor
    subscription.isPartial = false
    delete subscription.isAheadUntilMs
    if (reason !== 'subscribed' && seesAnomalies([filter])) this.owesGap = true
    behind.walks.push({
      entries: window.state(behind.cursor, filter.vehicles),
      sees: ({ entry }) => sees(filter, entry) && !isMuted(this.#mutes, entry),
      snapshot: { id, part: 0, reason },
    })
  }

  #createView(): View {
    const filters =
      this.protocol === 'plain' ? [everything] : [...this.subscriptions.values()].map(({ filter }) => filter)
    return createView(filters, this.#mutes)
  }
}

export const standBehind = (cursor: number, nowMs: number): Behind => ({
  at: 'behind',
  cursor,
  isBlocked: false,
  progressAtMs: nowMs,
  walks: [],
})
