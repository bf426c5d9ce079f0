import type { Subscribe, UpdateSubscription } from '@flasktoria/contracts/stream'
import type { MuteRules } from '@flasktoria/live-log/mutes'
import { beginsAnew, boxedOf, isBeginning, type Behind, type Course, type Subscription, type Walk } from './course.ts'
import type { Courses } from './courses.ts'
import type { SnapshotPart } from './frames.ts'
import { whereNow, type Kept, type LogWindow } from './log-window.ts'
import { parseResumeCursor, type ResumeCursor } from './resume-cursor.ts'
import type { Session } from './session.ts'
import type { SharedSnapshots } from './shared-snapshots.ts'
import { canonicalText, createFilter, sees, type Filter, type Wishes } from './subscription.ts'
import { isMuted, seesAnomalies, viewSees } from './view.ts'

type Deps = {
  window: LogWindow
  courses: Courses
  snapshots: SharedSnapshots
  now: () => number
  /** Vehicles left the view of a subscription. */
  sayLeave: (session: Session, id: string, vehicles: readonly string[]) => void
}

/** How long a cursor may lie ahead of what this hub has seen: another hub can be quicker by as much. */
const aheadForMs = 2_000
/** Few intervals, so that sessions share lanes. */
const intervalsMs = [20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]

/** The shortest interval that is not shorter; 0 is none. */
export const laneIntervalMs = (atLeastMs: number): number =>
  atLeastMs === 0 ? 0 : (intervalsMs.find((interval) => interval >= atLeastMs) ?? intervalsMs.at(-1)!)

/** Makes, changes and ends subscriptions: what of the state each is owed. Sends nothing but `leave`. */
export class Subscriptions {
  readonly #deps: Deps
  readonly #courses: Courses

  constructor(deps: Deps) {
    this.#deps = deps
    this.#courses = deps.courses
  }

  subscribe(session: Session, message: Subscribe): void {
    const { window } = this.#deps
    const { id, cursor: resumeAt } = message
    const wishes = wishesOf(message)
    this.#courses.note(session)
    const { head } = window
    const filter = createFilter(id, wishes)
    const begin = { fromSeq: head, stateTo: head, eventsTo: head }
    const subscription = { id, wishes, filter, intervalMs: 0, ...begin, untold: new Set<string>() }
    setRate(subscription)
    session.subscriptions.set(id, subscription)
    const resume = resumeAt === undefined ? undefined : parseResumeCursor(resumeAt)
    if (resume?.epoch === window.epoch) this.#resume(session, subscription, resume)
    else if (resumeAt === undefined) this.#takeSnapshot(session, subscription, 'subscribed')
    else this.#takeSnapshot(session, subscription, resume ? 'epoch' : 'cursor_unknown')
    this.#unshare(session)
  }

  unsubscribe(session: Session, id: string): void {
    this.#courses.note(session)
    const subscription = session.subscriptions.get(id)!
    session.subscriptions.delete(id)
    dropWalks(session, subscription)
    this.#courses.arrange(session)
  }

  /** What is absent in the message stays as it is. */
  update(session: Session, message: UpdateSubscription): void {
    const { id } = message
    const changes = wishesOf(message)
    this.#courses.note(session)
    const subscription = session.subscriptions.get(id)!
    const before = subscription.filter
    const wishes = { ...subscription.wishes, ...changes }
    if (changes.bbox) delete wishes.vehicles
    if (changes.vehicles) delete wishes.bbox
    const filter = createFilter(id, wishes)
    subscription.wishes = wishes
    setRate(subscription)
    subscription.filter = filter
    if (canonicalText(before) === canonicalText(filter)) this.#courses.arrange(session)
    else if (this.#canMove(session, subscription, before)) this.#move(session, subscription, before)
    else {
      const reason = unsaidReason(session, subscription) ?? 'moved'
      if (reason === 'epoch') this.beginAnew(session)
      else this.#takeSnapshot(session, subscription, reason, 'where it stands')
    }
    this.#unshare(session)
  }

  /** From the next frame on. What is no longer muted comes at its present state. */
  setMutes(session: Session, mutes: MuteRules): void {
    const before = session.mutes
    session.mutes = mutes
    session.awaitsMutes = false
    this.#courses.note(session)
    this.#courses.arrange(session)
    this.#unshare(session)
    if (before && before.size > 0) for (const course of session.courses) this.#walkUncovered(course, before)
  }

  /** Frames come no closer than this. */
  slow(session: Session, intervalMs: number): void {
    if (session.slowedMs === intervalMs) return
    this.#courses.note(session)
    session.slowedMs = intervalMs
    this.#courses.arrange(session)
  }

  /** The log began anew: nothing that was sent counts any more. */
  beginAnew(session: Session): void {
    const { head } = this.#deps.window
    session.reach = 0
    session.toldGapTo.anomaly = session.toldGapTo.sensordata = 0
    for (const course of session.courses) {
      const behind = this.#courses.fallBehind(course)
      behind.cursor = head
      behind.walks = []
      delete behind.pass
    }
    for (const subscription of session.subscriptions.values()) subscription.stateTo = subscription.eventsTo = head
    for (const subscription of session.subscriptions.values()) this.#takeSnapshot(session, subscription, 'epoch')
  }

  /** Its client comes from a hub that was quicker than this one: what it is told by this one would be older. */
  isAhead({ subscriptions, reach }: Session): boolean {
    const { head } = this.#deps.window
    return reach > head || subscriptions.values().some(({ stateTo, eventsTo }) => stateTo > head || eventsTo > head)
  }

  /** A cursor that lay ahead, and that the log did not reach in time, was none. */
  stopWaiting(session: Session): void {
    const { window, now } = this.#deps
    const { head } = window
    if (session.aheadUntilMs === undefined || now() < session.aheadUntilMs) return
    session.aheadUntilMs = undefined
    this.#courses.note(session)
    const lost = [...session.subscriptions.values()].filter(
      ({ stateTo, eventsTo }) => session.reach > head || stateTo > head || eventsTo > head,
    )
    session.reach = 0
    for (const subscription of lost) subscription.stateTo = subscription.eventsTo = head
    for (const subscription of lost) this.#takeSnapshot(session, subscription, 'cursor_unknown')
  }

  /** The hub is as far as the client: now its snapshots can be made. */
  takeOwed(session: Session): void {
    for (const subscription of session.subscriptions.values()) {
      const { owes } = subscription
      if (!owes) continue
      this.#courses.note(session)
      this.#takeSnapshot(session, subscription, owes, 'where it stands')
      this.#unshare(session)
    }
  }

  /** The whole state of a box, because nobody knows any more what was in it. Events are not touched. */
  retakeBox(session: Session, subscription: Subscription): void {
    this.#courses.note(session)
    this.#takeSnapshot(session, subscription, 'cursor_unknown', 'with the state')
  }

  /** For the subscriptions that resume where something was hidden: the state, from a hub that is not behind the client. */
  walkLacking(course: Course, { walks }: Behind): void {
    const { window } = this.#deps
    for (const subscription of course.subscriptions) {
      const { filter, stateTo, lacksAfter } = subscription
      if (lacksAfter === undefined || stateTo > window.head) continue
      delete subscription.lacksAfter
      walks.push({
        subscription,
        entries: window.state(Math.max(course.position, stateTo), filter.vehicles),
        sees: ({ seq, entry, where }) =>
          seq > lacksAfter && sees(filter, entry, where.place) && viewSees(course.view, entry, where.place),
      })
    }
  }

  #resume(session: Session, subscription: Subscription, { seq, stateTo, reach }: ResumeCursor): void {
    const { window, now } = this.#deps
    subscription.fromSeq = 0
    subscription.stateTo = subscription.eventsTo = seq
    session.reach = Math.max(session.reach, reach)
    if (reach > window.head) session.aheadUntilMs = now() + aheadForMs
    // What was subscribed to just before begins where the client stands, not behind it.
    for (const { subscription: other, snapshot } of session.courses.flatMap(walksOf))
      if (other && other.stateTo < seq && snapshot?.reason === 'subscribed' && snapshot.part === 0)
        this.#takeSnapshot(session, other, 'subscribed')
    if (stateTo < seq) subscription.lacksAfter = stateTo
    const isLost = subscription.filter.view && (stateTo < seq || seq < window.placesFloor)
    if (isLost) this.#takeSnapshot(session, subscription, 'cursor_unknown', 'with the state')
    else this.#courses.arrange(session)
  }

  /** `start`: what begins now: all, or its state alone, so that no event is missed, or nothing, so that no reading is. */
  #takeSnapshot(
    session: Session,
    subscription: Subscription,
    reason: SnapshotPart['reason'],
    start: 'now' | 'with the state' | 'where it stands' = 'now',
  ): void {
    const { window, snapshots, now } = this.#deps
    const { id, filter, fromSeq, eventsTo, stateTo } = subscription
    delete subscription.owes
    dropWalks(session, subscription)
    if (this.isAhead(session)) {
      subscription.owes = reason
      this.#beginAhead(session, subscription, start === 'now')
      return
    }
    const isShareable = start === 'now' && !filter.view && this.#canShare(session)
    const found = isShareable ? snapshots.find(id, filter, reason, now()) : undefined
    const shared = found && found.seq >= toldTo(session, subscription) ? found : undefined
    const standsAt = Math.max(stateTo, passedTo(session, subscription))
    const isStanding = start === 'where it stands' && (!filter.view || standsAt >= window.placesFloor)
    const seq = shared?.seq ?? (isStanding ? standsAt : window.head)
    subscription.stateTo = subscription.fromSeq = subscription.eventsTo = seq
    if (start !== 'now') Object.assign(subscription, { fromSeq, eventsTo })
    delete subscription.lacksAfter
    subscription.untold.clear()
    if (beginsAnew(reason)) {
      if (start === 'now' && seesAnomalies([filter])) session.owesGap.anomaly = true
      if (filter.every) session.owesGap.sensordata = true
    }
    this.#courses.arrange(session)
    const vehicles = filter.view ? window.vehiclesIn(filter.view.box, seq) : filter.vehicles
    const placeOf = filter.view ? window.placesAt(seq) : whereNow
    this.#walk(session, subscription, {
      subscription,
      seq,
      entries: shared ? [].values() : window.state(seq, vehicles),
      sees: ({ entry, where }) => session.sees(subscription, entry, placeOf(where)),
      snapshot: { id, part: 0, reason },
      ...(filter.view && { untold: new Set(vehicles) }),
      ...(shared && { shared }),
    })
  }

  /** Shared frames know nothing of mutes, and of what came on another course meanwhile. */
  #canShare(session: Session): boolean {
    const intervals = new Set([...session.subscriptions.values()].map((one) => session.intervalOf(one)))
    return !session.mutes?.size && intervals.size <= 1
  }

  #unshare(session: Session): void {
    if (this.#canShare(session)) return
    for (const { standing } of session.courses)
      if (standing.at === 'behind') standing.walks = standing.walks.map((walk) => this.#ownWalk(session, walk))
  }

  /** Where the client stands, and that is ahead of this hub. */
  #beginAhead(session: Session, subscription: Subscription, isNew: boolean): void {
    const { stateTo, eventsTo } = furthest(session)
    subscription.stateTo = stateTo
    if (isNew) subscription.fromSeq = subscription.eventsTo = eventsTo
    this.#courses.arrange(session)
  }

  /** The same, made for one session alone. */
  #ownWalk(session: Session, { shared, ...walk }: Walk): Walk {
    const { subscription, snapshot } = walk
    if (!shared || !subscription || !snapshot) return walk
    return {
      ...walk,
      entries: this.#deps.window.state(shared.seq, subscription.filter.vehicles),
      sees: ({ entry, where }) => session.sees(subscription, entry, where.place),
      snapshot: { ...snapshot, part: 0 },
    }
  }

  #walk(session: Session, subscription: Subscription, walk: Walk): void {
    const course = courseOf(session, subscription)!
    const { walks } = this.#courses.fallBehind(course)
    // Nothing comes before a snapshot that begins anew: it would be from where the client is not any more.
    const before = isBeginning(walk) ? walks.filter(isBeginning).length : walks.length
    walks.splice(before, 0, walk)
  }

  /** Whether it is known, and worth telling, what enters and what leaves. */
  #canMove(session: Session, subscription: Subscription, before: Filter): boolean {
    const { filter, stateTo, lacksAfter, untold } = subscription
    const course = courseOf(session, subscription)!
    const { standing } = course
    const isWaiting = standing.at === 'behind' && (standing.pass || standing.walks.some(isOf(subscription)))
    const { window } = this.#deps
    return (
      !isWaiting &&
      lacksAfter === undefined &&
      untold.size === 0 &&
      session.takesData &&
      stateTo >= window.placesFloor &&
      stateTo <= window.head &&
      // A client that named its vehicles may wait for all that there is of one: then it does not know yet that it is there.
      (before.view !== undefined || (isBounded(before) && !filter.view)) &&
      isBounded(filter) &&
      restOf(before) === restOf(filter)
    )
  }

  #move(session: Session, subscription: Subscription, before: Filter): void {
    const { window, sayLeave } = this.#deps
    const { id, filter, stateTo } = subscription
    const vehiclesOf = ({ view, vehicles }: Filter): ReadonlySet<string> =>
      view ? window.vehiclesIn(view.box, stateTo) : vehicles!
    const onlyIn = (one: Filter, other: Filter): ReadonlySet<string> =>
      one.view && other.view
        ? window.vehiclesIn(one.view.box, stateTo, other.view.box)
        : vehiclesOf(one).difference(vehiclesOf(other))
    const [left, entered] = [onlyIn(before, filter), onlyIn(filter, before)]
    const placeOf = window.placesAt(stateTo)
    this.#courses.arrange(session)
    if (entered.size > 0)
      this.#walk(session, subscription, {
        subscription,
        seq: stateTo,
        entries: window.state(stateTo, entered),
        sees: ({ entry, where }) => session.sees(subscription, entry, placeOf(where)),
        snapshot: { id, part: 0, reason: 'entered' },
        ...(filter.view && { untold: new Set(entered) }),
      })
    if (left.size > 0) sayLeave(session, id, [...left])
  }

  /** The present state of what was muted. */
  #walkUncovered(course: Course, before: MuteRules): void {
    const behind = this.#courses.fallBehind(course)
    const { session, subscriptions } = course
    const muted = new Set([...before].map(({ vehicle }) => vehicle))
    for (const subscription of boxedOf(course)) this.#walkUncoveredIn(subscription, course, behind, muted)
    const unboxed = subscriptions.filter(({ filter }) => !filter.view)
    if (session.protocol === 'v2' && unboxed.length === 0) return
    const isWaiting = behind.walks.some(({ subscription }) => !subscription)
    // While one waits, what the client knows lies two changes back: then all that it sees is sent.
    if (isWaiting) behind.walks = behind.walks.filter(({ subscription }) => subscription)
    // Subscriptions that come later begin with their snapshot.
    const isSeen = ({ entry, where }: Kept) =>
      session.protocol === 'plain'
        ? viewSees(session.fastest.view, entry, where.place)
        : unboxed.some((one) => session.subscriptions.get(one.id) === one && session.sees(one, entry, undefined))
    behind.walks.push({
      entries: this.#deps.window.state(course.position, isWaiting ? undefined : muted),
      sees: (kept) => isSeen(kept) && (isWaiting || isMuted(before, kept.entry)),
    })
  }

  /** The vehicles come into the box, as far as the client can tell: it may have heard nothing of them. */
  #walkUncoveredIn(subscription: Subscription, course: Course, behind: Behind, muted: ReadonlySet<string>): void {
    const { window } = this.#deps
    const { session, position } = course
    const { id, filter, stateTo } = subscription
    const seq = Math.max(position, stateTo)
    if (seq < window.placesFloor) return this.retakeBox(session, subscription)
    const waiting = behind.walks.find((walk) => walk.subscription === subscription && walk.uncovers)
    behind.walks = behind.walks.filter((walk) => walk !== waiting)
    const uncovers = muted.union(waiting?.uncovers ?? new Set<string>())
    const entered = window.vehiclesIn(filter.view!.box, seq).intersection(uncovers)
    if (entered.size === 0) return
    const placeOf = window.placesAt(seq)
    behind.walks.push({
      subscription,
      seq,
      uncovers,
      entries: window.state(seq, entered),
      sees: ({ entry, where }) => session.sees(subscription, entry, placeOf(where)),
      snapshot: { id, part: 0, reason: 'entered' },
      untold: entered,
    })
  }
}

const courseOf = ({ courses }: Session, subscription: Subscription): Course | undefined =>
  courses.find(({ subscriptions }) => subscriptions.includes(subscription))

const isOf = (subscription: Subscription) => (walk: Walk) => walk.subscription === subscription

const walksOf = ({ standing }: Course): Walk[] => (standing.at === 'behind' ? [...standing.walks] : [])

/** Why it is to get a snapshot of which nothing was sent yet. */
function unsaidReason(session: Session, subscription: Subscription): SnapshotPart['reason'] | undefined {
  const walks = session.courses.flatMap(walksOf).filter(isOf(subscription))
  const unsaid = walks.find(({ snapshot }) => snapshot?.part === 0 && snapshot.reason !== 'entered')
  return subscription.owes ?? unsaid?.snapshot?.reason
}

/** How far the client has come already, by frames, or with its other subscriptions. */
function toldTo({ subscriptions, sent, fastest }: Session, subscription: Subscription): number {
  const others = [...subscriptions.values()].filter((one) => one !== subscription)
  const had = others.flatMap(({ stateTo, eventsTo }) => [stateTo, eventsTo])
  return Math.max(0, ...had, sent.frames > 0 ? fastest.position : 0)
}

/** Up to where the client is being told what enters and leaves its boxes. */
function passedTo(session: Session, subscription: Subscription): number {
  const standing = courseOf(session, subscription)?.standing
  return standing?.at === 'behind' ? (standing.pass?.toSeq ?? 0) : 0
}

/** How far the client may have come, by what any of its subscriptions has. */
const furthest = ({ subscriptions }: Session) => {
  const all = [...subscriptions.values()]
  return {
    stateTo: Math.max(...all.map(({ stateTo }) => stateTo)),
    eventsTo: Math.max(...all.map(({ eventsTo }) => eventsTo)),
  }
}

function dropWalks(session: Session, subscription: Subscription): void {
  for (const { standing } of session.courses)
    if (standing.at === 'behind') standing.walks = standing.walks.filter((walk) => !isOf(subscription)(walk))
}

/** What a message says of wishes; what it does not say is absent. */
function wishesOf(message: Subscribe | UpdateSubscription): Wishes {
  return Object.fromEntries(Object.entries(message).filter(([name]) => !['type', 'id', 'cursor'].includes(name)))
}

function setRate(subscription: Subscription): void {
  const { maxRateHz } = subscription.wishes
  subscription.intervalMs = laneIntervalMs(maxRateHz === undefined ? 0 : 1_000 / maxRateHz)
}

const isBounded = ({ view, vehicles }: Filter) => view !== undefined || vehicles !== undefined

/** All of a filter but which vehicles it is about. */
function restOf(filter: Filter): string {
  const rest: { -readonly [Key in keyof Filter]: Filter[Key] } = { ...filter }
  delete rest.vehicles
  delete rest.view
  return canonicalText(rest)
}
