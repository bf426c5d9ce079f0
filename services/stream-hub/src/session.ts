import type { MuteRules } from '@flasktoria/live-log/mutes'
import { Allowance } from '@flasktoria/service-kit/allowance'
import { plainKinds, updateClass } from '@flasktoria/contracts/updates'
import type { Place } from './box.ts'
import { boxedOf, type Behind, type Course, type Subscription } from './course.ts'
import type { Protocol } from './frames.ts'
import type { Kept, Places } from './log-window.ts'
import { noState, type ResumeCursor } from './resume-cursor.ts'
import { createFilter, sees, type Filter } from './subscription.ts'
import type { Connection } from './transport.ts'
import { createView, isMuted, seesEvents, viewSees, type View } from './view.ts'

export type SessionLimits = { messagesPerSecond: number; errorsBurst: number; errorsPerMinute: number }

const plainFilter = createFilter('', { kinds: plainKinds })
const onlyEvents = (filter: Filter): Filter => ({ ...filter, kinds: new Set(['anomaly']) })

const isPassing = ({ standing }: Course) => standing.at === 'behind' && (standing.walks.length > 0 || standing.pass)

/** One client connection: what it wants to see, how well it takes it, and its courses through the log. Sends nothing by itself. */
export class Session {
  readonly connection: Connection
  readonly protocol: Protocol
  readonly subscriptions = new Map<string, Subscription>()
  readonly messages: Allowance
  readonly errors: Allowance
  /** The fastest first; one at least. */
  courses: readonly Course[] = []
  mutes: MuteRules | undefined
  /** Nothing but control messages is sent before the mutes of its client are known. */
  awaitsMutes: boolean
  isClosed = false

  readonly openedAtMs: number
  readonly sent = { frames: 0, bytes: 0, delivered: 0, conflated: 0, caughtUp: 0 }

  /** The connection holds bytes that it could not send. */
  isBlocked = false
  /** What was sent takes long to arrive: a pong is overdue. */
  isLagging = false
  /** When the connection last took bytes, while it is blocked or lagging. */
  progressAtMs: number
  heardAtMs: number
  pingedAtMs: number
  isPingOpen = false
  isPongOverdue = false
  /** So many frames had been sent at the last ping. */
  framesPinged = 0
  roundTripMs: number | undefined
  /** Frames come no closer than this, because it was slow; 0: no bound. */
  slowedMs = 0
  fellBehindAtMs = -Infinity
  /** When it was told how fresh the data is. */
  fedAtMs: number

  /** Its client may have something from up to here: it comes from another hub … */
  reach = 0
  /** … that was quicker, and waits for this one, up to then. */
  aheadUntilMs: number | undefined

  /** It has to be told that some may be missing, whatever the window remembers. */
  readonly owesGap = { anomaly: false, sensordata: false }
  /** Events, and readings that were to come each, missing up to here were told of. */
  readonly toldGapTo = { anomaly: 0, sensordata: 0 }

  constructor(connection: Connection, protocol: Protocol, awaitsMutes: boolean, limits: SessionLimits, nowMs: number) {
    this.connection = connection
    this.protocol = protocol
    this.awaitsMutes = awaitsMutes
    this.messages = new Allowance(limits.messagesPerSecond, limits.messagesPerSecond)
    this.errors = new Allowance(limits.errorsBurst, limits.errorsPerMinute / 60)
    this.openedAtMs = this.fedAtMs = this.progressAtMs = this.heardAtMs = this.pingedAtMs = nowMs
  }

  /** The course that events come on. */
  get fastest(): Course {
    return this.courses[0]!
  }
  get takesData(): boolean {
    return !this.isBlocked && !this.isLagging && !this.awaitsMutes && !this.isClosed
  }
  get isBehind(): boolean {
    return this.courses.some(({ standing }) => standing.at === 'behind')
  }

  get isLive(): boolean {
    return this.courses.some(({ standing }) => standing.at === 'live')
  }

  /**
   * How far apart the frames of a subscription come. What subscriptions of several rates see in common comes with each of
   * them, in no order but that nothing is older than what came. Where each reading counts, that is not enough: then all
   * have one rate.
   */
  intervalOf({ intervalMs }: Subscription): number {
    const all = [...this.subscriptions.values()]
    const needsOrder = all.some(({ filter }) => filter.every)
    return Math.max(needsOrder ? Math.min(...all.map((one) => one.intervalMs)) : intervalMs, this.slowedMs)
  }

  /** What comes on a course. The fastest brings the events of all; for the others, `slower` is absent. */
  viewOf(own: readonly Subscription[], slower?: readonly Subscription[]): View {
    if (this.protocol === 'plain') return createView([plainFilter], this.mutes)
    const filters = own.map(({ filter }) => filter)
    if (!slower) return createView(filters, this.mutes, false)
    const events = slower.map(({ filter }) => filter).filter(seesEvents)
    return createView([...filters, ...events.map(onlyEvents)], this.mutes)
  }

  /** A frame was handed to its connection. */
  countSent(bytes: number, { updates, conflated }: { updates: number; conflated: number }): void {
    this.sent.frames++
    this.sent.bytes += bytes
    this.sent.delivered += updates
    this.sent.conflated += conflated
  }

  /** Whether a subscription shows an entry to the client. */
  sees({ filter }: Subscription, entry: Kept['entry'], place: Place | undefined): boolean {
    return sees(filter, entry, place) && !isMuted(this.mutes, entry)
  }

  /** Where the client stands when it has got all that was sent to it. */
  get cursor(): Omit<ResumeCursor, 'epoch'> {
    return this.cursorWhen(({ position }) => position)
  }

  /** The same, while frames of a flush are sent. */
  cursorWhen(positionOf: (course: Course) => number): Omit<ResumeCursor, 'epoch'> {
    const eventsTo = [...this.subscriptions.values()].map((one) => one.eventsTo)
    const seq = Math.max(positionOf(this.fastest), eventsTo.length > 0 ? Math.min(...eventsTo) : 0)
    // A box that is further would, from there on, not be the one that the client has.
    const isAhead = this.courses.some((course) => positionOf(course) > seq && boxedOf(course).length > 0)
    const lacksState = isAhead || this.#lacksState
    const stateTo = lacksState ? noState : Math.min(seq, ...this.courses.map(positionOf))
    return { seq, stateTo, reach: Math.max(seq, ...this.courses.map(positionOf)) }
  }

  /** The client may lack something that has not changed for long. */
  get #lacksState(): boolean {
    return (
      this.fastest.view.mutes !== undefined ||
      this.courses.some(isPassing) ||
      [...this.subscriptions.values()].some(({ lacksAfter, untold }) => lacksAfter !== undefined || untold.size > 0)
    )
  }

  /**
   * Whether an entry after the cursor of a course has to be sent: `conflated` if not, for a newer one comes. A
   * subscription that resumes further back than the others takes the cursor back with it; an event that the client has by
   * another one is not sent again.
   */
  needs(course: Course, { pass }: Behind, kept: Kept, placeOf: Places): 'yes' | 'no' | 'conflated' {
    const { seq, entry, where, isCurrent } = kept
    const place = placeOf(where)
    if (!viewSees(course.view, entry, place)) return 'no'
    if (updateClass[entry.kind] === 'event') return this.#needsEvent(kept) ? 'yes' : 'no'
    const lacks = (subscription: Subscription) =>
      seq > subscription.stateTo &&
      sees(subscription.filter, entry, place) &&
      !pass?.entered.get(subscription)?.has(entry.vehicle)
    if (this.protocol === 'v2' && !course.subscriptions.some(lacks)) return 'no'
    const isEach = () =>
      entry.kind === 'sensordata' && course.subscriptions.some((one) => one.filter.every && lacks(one))
    if (isCurrent || isEach()) return 'yes'
    return entry.isLate ? 'no' : 'conflated'
  }

  #needsEvent({ seq, entry, where }: Kept): boolean {
    if (this.protocol === 'plain') return true
    let isNeeded = false
    for (const { filter, fromSeq, eventsTo } of this.subscriptions.values()) {
      if (seq <= fromSeq || !sees(filter, entry, where.place)) continue
      if (seq > eventsTo) isNeeded = true
      else return false
    }
    return isNeeded
  }
}
