import { closeCodes, type CloseReason } from '@flasktoria/contracts/close-codes'
import type { ServerMessage, Subscribe, UpdateSubscription } from '@flasktoria/contracts/stream'
import type { FeedReport } from '@flasktoria/live-log/feed'
import type { Entry, LogListener, Snapshot } from '@flasktoria/live-log/log'
import type { MuteRules } from '@flasktoria/live-log/mutes'
import type { Histogram } from '@flasktoria/service-kit/metrics'
import { Arena } from './arena.ts'
import { CatchUp, type Sent } from './catch-up.ts'
import { boxedOf, type Course } from './course.ts'
import { Courses } from './courses.ts'
import { FlushFrames, type Frame } from './flush-frames.ts'
import { cursorTail, leaveBodies, type Protocol } from './frames.ts'
import { Freshness } from './freshness.ts'
import type { Group } from './groups.ts'
import { closeLabel, type HubFigures, type HubMetrics } from './hub-metrics.ts'
import { Lanes, type Lane } from './lane.ts'
import { LogWindow, type Kept, type WindowBounds } from './log-window.ts'
import type { PaceBounds } from './pace.ts'
import { Pulse, type PulseOptions } from './pulse.ts'
import { formatResumeCursor, noState } from './resume-cursor.ts'
import { Session, type SessionLimits } from './session.ts'
import { SharedSnapshots } from './shared-snapshots.ts'
import { Subscriptions } from './subscriptions.ts'
import type { Connection } from './transport.ts'

export type HubOptions = WindowBounds &
  PulseOptions & {
    session: SessionLimits
    /** How far apart flushes stand. */
    pace: PaceBounds
    /** Clients are told this often how fresh the data is. */
    feedIntervalMs: number
    serverName: string
  }

type Deps = {
  options: HubOptions
  metrics: HubMetrics
  /** Milliseconds of a clock that never goes back. */
  now: () => number
  /** Epoch milliseconds. */
  wallNow: () => number
  /** There is something to flush, or a session to bring forward. */
  wake: () => void
  /** The same, and there is nothing but news to flush. */
  flushSoon: () => void
}

type Sum = { frames: number; bytes: number; updates: number; conflated: number }
const nothing: Sum = { frames: 0, bytes: 0, updates: 0, conflated: 0 }

/**
 * Sessions × live log → frames. Courses with equal views form a group; each flush of a lane sends every group in it what came
 * since the last one, in one frame made once. What a session can't take, it is brought forward to later, from its cursors.
 *
 * Guarantees, per session: frames go by seq; never an older value after a newer one of a key; each event once, or a gap;
 * what the client knows of every key converges to the state. Holds no timers: `flushDue`, `catchUp` and `sweep` are called.
 */
export class Hub implements LogListener {
  readonly #options: HubOptions
  readonly #metrics: HubMetrics
  readonly #now: () => number
  readonly #wallNow: () => number
  readonly #wake: () => void
  readonly #flushSoon: () => void
  readonly #arena = new Arena()
  readonly #window: LogWindow
  readonly #lanes: Lanes<Course>
  readonly #sessions = new Set<Session>()
  readonly #snapshots: SharedSnapshots
  readonly #courses: Courses
  readonly #subscriptions: Subscriptions
  readonly #catchUp: CatchUp
  readonly #pulse: Pulse
  readonly #freshness = new Freshness()
  /** Everything up to here was in a frame, or is in nobody's. */
  #firstSentTo = 0
  /** Since the metrics were told. */
  readonly #flushed: Record<Protocol, Sum> = { plain: { ...nothing }, v2: { ...nothing } }
  readonly #observed: { histogram: Histogram; ms: number }[] = []
  #sweeping: Iterator<Session> = [].values()
  #isConnected = false
  #heardAtMs: number

  constructor({ options, metrics, now, wallNow, wake, flushSoon }: Deps) {
    this.#options = options
    this.#metrics = metrics
    this.#now = now
    this.#wallNow = wallNow
    this.#wake = wake
    this.#flushSoon = flushSoon
    this.#heardAtMs = now()
    this.#window = new LogWindow(options)
    this.#lanes = new Lanes(options.pace)
    this.#snapshots = new SharedSnapshots(this.#window)
    this.#courses = new Courses({
      window: this.#window,
      lanes: this.#lanes,
      retakeBox: (session, subscription) => this.#subscriptions.retakeBox(session, subscription),
    })
    this.#subscriptions = new Subscriptions({
      window: this.#window,
      courses: this.#courses,
      snapshots: this.#snapshots,
      now,
      sayLeave: (session, id, vehicles) =>
        this.say(session, { type: 'leave', id, vehicles: [...vehicles], cursor: this.#cursorOf(session) }),
    })
    this.#catchUp = new CatchUp({
      window: this.#window,
      arena: this.#arena,
      metrics,
      subscriptions: this.#subscriptions,
      cursorOf: (session) => this.#cursorOf(session),
      say: (session, message) => this.say(session, message),
      send: (session, bytes, sent) => this.#sendCatchUp(session, bytes, sent),
    })
    this.#pulse = new Pulse({
      options,
      metrics,
      now,
      fallBehind: (session) => this.#fallBehind(session),
      slow: (session, intervalMs) => this.#subscriptions.slow(session, intervalMs),
      close: (session) => this.close(session, 'tooSlow'),
    })
  }

  /* ── the live log ──────────────────────────────────────────────────────────────────────────────────────────────── */

  onSnapshot(snapshot: Snapshot): void {
    const isNewEpoch = snapshot.epoch !== this.#window.epoch
    this.#metrics.logSnapshots.inc({ reason: snapshot.reason })
    // Before the window changes: what a live session has is known by what its lane was sent.
    for (const session of this.#sessions) this.#fallBehind(session)
    this.#window.load(snapshot, this.#now())
    this.#snapshots.clear()
    this.#catchUp.forgetShared()
    for (const lane of this.#lanes) lane.flushedTo = snapshot.head
    this.#firstSentTo = snapshot.head
    this.#heardAtMs = this.#now()
    this.onConnected(true)
    if (isNewEpoch) for (const session of this.#sessions) this.#subscriptions.beginAnew(session)
    this.#wake()
  }

  onEntries(entries: readonly Entry[]): void {
    const nowMs = this.#now()
    this.#window.append(entries, nowMs)
    this.#freshness.hear(entries, this.#wallNow())
    this.#heardAtMs = nowMs
    for (const { isLate } of entries) if (isLate) this.#metrics.late.inc()
    this.#flushSoon()
    if (this.#courses.behind.size > 0) this.#wake()
  }

  onConnected(isConnected: boolean): void {
    this.#isConnected = isConnected
    this.#freshness.hearConnected(isConnected, this.#wallNow())
  }

  /** What the ingest instances say of themselves. */
  setFeedReports(reports: readonly FeedReport[]): void {
    this.#freshness.reports = reports
  }

  get isLoaded(): boolean {
    return this.#window.epoch !== ''
  }
  /** Why the hub can't be sent traffic; undefined when it can. */
  get logTrouble(): string | undefined {
    if (!this.isLoaded) return 'the live log was not read yet'
    return this.#isConnected ? undefined : 'the live log is away'
  }
  get sessions(): ReadonlySet<Session> {
    return this.#sessions
  }

  /* ── sessions ──────────────────────────────────────────────────────────────────────────────────────────────────── */

  /** `awaitsMutes`: its client may have muted something; it waits for `setMutes`. */
  open(connection: Connection, protocol: Protocol, awaitsMutes: boolean): Session {
    const session = new Session(connection, protocol, awaitsMutes, this.#options.session, this.#now())
    this.#sessions.add(session)
    this.#courses.arrange(session)
    const { epoch, head } = this.#window
    if (protocol === 'v2')
      this.say(session, {
        type: 'hello',
        epoch,
        cursor: formatResumeCursor({ epoch, seq: head, stateTo: head, reach: head }),
        heartbeatMs: this.#options.pingIntervalMs,
        server: this.#options.serverName,
      })
    this.#wake()
    return session
  }

  subscribe(session: Session, message: Subscribe): void {
    this.#subscriptions.subscribe(session, message)
    this.say(session, { type: 'ack', id: message.id })
    this.#wake()
  }

  update(session: Session, message: UpdateSubscription): void {
    this.say(session, { type: 'ack', id: message.id })
    if (session.isClosed) return
    this.#subscriptions.update(session, message)
    this.#wake()
  }

  unsubscribe(session: Session, id: string): void {
    this.#subscriptions.unsubscribe(session, id)
    this.say(session, { type: 'ack', id })
    this.#wake()
  }

  setMutes(session: Session, mutes: MuteRules): void {
    if (session.isClosed) return
    this.#subscriptions.setMutes(session, mutes)
    this.#wake()
  }

  sayStats(session: Session): void {
    const { sent, connection, roundTripMs, slowedMs, takesData, openedAtMs } = session
    this.say(session, {
      type: 'stats',
      openForMs: Math.round(this.#now() - openedAtMs),
      ...sent,
      bufferedBytes: connection.bufferedBytes,
      roundTripMs: roundTripMs === undefined ? null : Math.round(roundTripMs),
      maxRateHz: slowedMs > 0 ? 1_000 / slowedMs : null,
      isLagging: !takesData,
    })
  }

  say(session: Session, message: ServerMessage): void {
    this.#sayText(session, JSON.stringify(message))
  }

  hear(session: Session): void {
    session.heardAtMs = this.#now()
  }

  hearPong(session: Session): void {
    this.hear(session)
    this.#pulse.hearPong(session)
    if (session.isBehind) this.#wake()
  }

  hearDrain(session: Session): void {
    session.progressAtMs = this.#now()
    session.isBlocked = session.connection.bufferedBytes > 0
    if (!session.isBlocked && session.isBehind) this.#wake()
  }

  close(session: Session, reason: CloseReason): void {
    this.closeWith(session, closeCodes[reason], reason)
  }

  closeWith(session: Session, code: number, reason: string): void {
    if (session.isClosed) return
    this.hearClose(session, code)
    session.connection.close(code, reason)
  }

  hearClose(session: Session, code: number): void {
    if (session.isClosed) return
    this.#metrics.closes.inc({ code: closeLabel(code) })
    session.isClosed = true
    this.#courses.end(session)
    this.#sessions.delete(session)
  }

  /* ── what the loop calls ───────────────────────────────────────────────────────────────────────────────────────── */

  /** Flushes the lane that is due longest; answers in how many milliseconds the next one is due: Infinity if none. */
  flushDue(): number {
    const { head } = this.#window
    const lane = this.#lanes.next(head)
    if (lane && lane.dueAtMs <= this.#now()) this.#flush(lane)
    return (this.#lanes.next(head)?.dueAtMs ?? Infinity) - this.#now()
  }

  /** Brings courses forward in turns, for about as long as it may. True: there is more to do at once. */
  catchUp(budgetMs: number): boolean {
    const { behind } = this.#courses
    const startedAtMs = this.#now()
    for (const course of behind) {
      const { session, standing } = course
      if (standing.at !== 'behind' || !session.takesData) continue
      if (this.#now() - startedAtMs > budgetMs) return true
      if (this.#catchUp.advance(course, standing)) {
        // To the end of the set, where this loop comes by again.
        behind.delete(course)
        behind.add(course)
      } else if (session.takesData && course.isReadyToGoLive) this.#courses.goLive(course)
    }
    return false
  }

  /** Pings, closes the silent and the slow, tells how fresh the data is: a share of the sessions each time. */
  sweep(share = 1): void {
    const nowMs = this.#now()
    this.#tellFlushed()
    const forgotten = this.#window.sweep(nowMs)
    this.#metrics.forgottenKeys.inc(forgotten.keys)
    if (forgotten.vehicles.length > 0) for (const session of this.#sessions) this.#sayGone(session, forgotten.vehicles)
    const feed = JSON.stringify(this.#freshness.message(this.#wallNow()))
    for (let left = Math.ceil(this.#sessions.size * share); left > 0; left--) {
      let next = this.#sweeping.next()
      if (next.done) next = (this.#sweeping = this.#sessions.values()).next()
      const session = next.value
      if (!session) break
      this.#pulse.feel(session, this.#sessions.size)
      if (session.isBehind && !session.isClosed) this.#subscriptions.stopWaiting(session)
      if (session.subscriptions.size > 0 && nowMs - session.fedAtMs >= this.#options.feedIntervalMs)
        this.#sayFeed(session, feed)
    }
    if (this.#courses.behind.size > 0) this.#wake()
  }

  figures(): HubFigures {
    const figures = { sessions: { plain: 0, v2: 0 }, subscriptions: 0, lagging: 0, slowed: 0 }
    for (const { protocol, subscriptions, isBlocked, isLagging, slowedMs } of this.#sessions) {
      figures.sessions[protocol]++
      figures.subscriptions += subscriptions.size
      if (isBlocked || isLagging) figures.lagging++
      if (slowedMs > 0) figures.slowed++
    }
    const lanes = [...this.#lanes]
    return {
      ...figures,
      lanes: lanes.length,
      groups: lanes.reduce((sum, { groups }) => sum + groups.size, 0),
      isLogConnected: this.#isConnected,
      logSilenceSeconds: (this.#now() - this.#heardAtMs) / 1000,
      stateKeys: this.#window.stateKeys,
    }
  }

  /* ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────── */

  /** Sends every group of a lane what came since its last flush. */
  #flush(lane: Lane<Course>): void {
    const from = lane.flushedTo
    const to = this.#window.head
    if (from === to) return
    const startedAtMs = this.#now()
    // More came at once than is remembered: each session is told by itself.
    if (from < this.#window.ringFloor) for (const session of this.#sessions) this.#leaveLane(session, lane)
    lane.flushedTo = to
    const kept = this.#window.between(from, to)
    if (kept.length > 0 && lane.groups.size > 0) this.#flushKept(lane, kept, [from, to])
    this.#observeAge(kept, to)
    const costMs = this.#now() - startedAtMs
    this.#lanes.hasFlushed(lane, startedAtMs, costMs)
    this.#observed.push({ histogram: this.#metrics.flushSeconds, ms: costMs })
  }

  #leaveLane(session: Session, lane: Lane<Course>): void {
    for (const course of session.courses) if (course.lane === lane) this.#courses.fallBehind(course)
  }

  #flushKept(lane: Lane<Course>, kept: readonly Kept[], span: readonly [number, number]): void {
    const { epoch } = this.#window
    const cursorAt = (seq: number, stateTo: number) => formatResumeCursor({ epoch, seq, stateTo, reach: seq })
    const frames = new FlushFrames({ arena: this.#arena, window: this.#window, kept, span, cursorAt })
    for (const [group, concern] of lane.groups.concerned(kept))
      frames.give(group, concern, (some) => this.#sendToGroup(group, some, span))
  }

  /** To count costs more than a frame: the metrics are told of many flushes together. */
  #tellFlushed(): void {
    for (const { histogram, ms } of this.#observed.splice(0)) histogram.observe(ms / 1000)
    for (const protocol of ['plain', 'v2'] as const) {
      const { frames, bytes, updates, conflated } = this.#flushed[protocol]
      this.#metrics.frames.inc({ protocol }, frames)
      this.#metrics.bytes.inc({ protocol }, bytes)
      this.#metrics.updates.inc({ how: 'flushed' }, updates)
      this.#metrics.conflated.inc(conflated)
      this.#flushed[protocol] = { ...nothing }
    }
  }

  #sendToGroup(group: Group<Course>, frames: readonly Frame[], [fromSeq, toSeq]: readonly [number, number]): void {
    const total = this.#flushed[group.protocol]
    for (const course of group.members) {
      const { session } = course
      let reachedSeq = fromSeq
      let isCut = false
      for (const frame of frames) {
        const bytes = group.hasOwnCursors ? this.#withOwnCursor(course, frame, toSeq) : frame.bytes
        const result = session.connection.send(bytes)
        if (result !== 'refused') {
          reachedSeq = frame.toSeq
          session.countSent(bytes.length, frame)
          total.frames++
          total.bytes += bytes.length
          total.updates += frame.updates
          total.conflated += frame.conflated
        }
        if (result === 'sent') continue
        isCut = reachedSeq < toSeq || frame !== frames.at(-1)
        this.#block(session, course, reachedSeq)
        break
      }
      // What entered and left its boxes was told up to the end, of the updates only a part was sent.
      if (isCut) for (const boxed of boxedOf(course)) this.#subscriptions.retakeBox(session, boxed)
    }
  }

  /** Of vehicles that were silent for so long that nothing is known of them any more. */
  #sayGone(session: Session, vehicles: readonly string[]): void {
    const cursor = this.#cursorOf(session)
    for (const { id, filter } of session.subscriptions.values())
      for (const body of leaveBodies(
        id,
        vehicles.filter((vehicle) => filter.vehicles?.has(vehicle) ?? true),
      ))
        this.#sayText(session, body + cursorTail(cursor))
  }

  /** The frame of a session with several courses: it says where all of them are. */
  #withOwnCursor(course: Course, { bytes, bodyLength, toSeq }: Frame, flushedTo: number): Uint8Array {
    const cursor = course.session.cursorWhen((one) => (one === course ? toSeq : one.position))
    const isPartial = toSeq < flushedTo
    const own = formatResumeCursor({ epoch: this.#window.epoch, ...cursor, ...(isPartial && { stateTo: noState }) })
    const mark = this.#arena.length
    this.#arena.append(bytes.subarray(0, bodyLength))
    this.#arena.write(cursorTail(own))
    const framed = this.#arena.view(mark, this.#arena.length)
    this.#arena.rewind(mark)
    return framed
  }

  #sendCatchUp(session: Session, bytes: Uint8Array, sent: Sent): void {
    const { updates, conflated, how } = sent
    const result = session.connection.send(bytes)
    // Nothing was buffered, and still it was refused: this connection is lost. The client resumes on the next one.
    if (result === 'refused') return this.close(session, 'tooSlow')
    if (result === 'queued') this.#hold(session)
    session.countSent(bytes.length, sent)
    if (how === 'caught_up') session.sent.caughtUp += updates
    const { protocol } = session
    this.#metrics.frames.inc({ protocol })
    this.#metrics.bytes.inc({ protocol }, bytes.length)
    this.#metrics.updates.inc({ how }, updates)
    this.#metrics.conflated.inc(conflated)
  }

  #sayFeed(session: Session, text: string): void {
    if (session.protocol === 'plain' || !session.takesData) return
    session.fedAtMs = this.#now()
    this.#sayText(session, text)
  }

  #sayText(session: Session, text: string): void {
    if (session.isClosed) return
    const result = session.connection.send(text)
    // A client that asks without reading the answers.
    if (result === 'refused') this.close(session, 'tooSlow')
    if (result === 'queued') this.#block(session)
  }

  /* ── slow sessions ─────────────────────────────────────────────────────────────────────────────────────────────── */

  /** Its connection takes no more for now. Everything up to `reachedSeq` was sent on this course. */
  #block(session: Session, course?: Course, reachedSeq?: number): void {
    const { isLive } = session
    if (course) this.#courses.fallBehind(course, reachedSeq)
    this.#hold(session)
    this.#fallBehind(session)
    if (isLive) this.#pulse.noteFall(session)
  }

  #hold(session: Session): void {
    if (!session.isBlocked) session.progressAtMs = this.#now()
    session.isBlocked = true
  }

  #fallBehind(session: Session): void {
    for (const course of session.courses) this.#courses.fallBehind(course)
  }

  #cursorOf(session: Session): string {
    return formatResumeCursor({ epoch: this.#window.epoch, ...session.cursor })
  }

  /** Of the update that waited longest: to measure each would cost more than to send it to ten clients. */
  #observeAge(kept: readonly Kept[], to: number): void {
    const oldest = kept.find(({ seq, isCurrent }) => isCurrent && seq > this.#firstSentTo)?.entry
    const nowTs = this.#wallNow()
    const { recordToFrameSeconds, logToFrameSeconds } = this.#metrics
    if (oldest) this.#observed.push({ histogram: recordToFrameSeconds, ms: nowTs - oldest.eventTs })
    if (oldest && oldest.appendedAt > 0)
      this.#observed.push({ histogram: logToFrameSeconds, ms: nowTs - oldest.appendedAt })
    this.#firstSentTo = Math.max(this.#firstSentTo, to)
  }
}
