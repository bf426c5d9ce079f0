import { closeCodes, type CloseReason } from '@flasktoria/contracts/close-codes'
import type { ServerMessage, Subscribe } from '@flasktoria/contracts/stream'
import type { Entry, LogListener, Snapshot } from '@flasktoria/live-log/log'
import type { MuteRules } from '@flasktoria/live-log/mutes'
import { Arena } from './arena.ts'
import { CatchUp } from './catch-up.ts'
import { FlushFrames, type Frame } from './flush-frames.ts'
import type { Protocol } from './frames.ts'
import { Groups, type Group } from './groups.ts'
import { closeLabel, type HubFigures, type HubMetrics } from './hub-metrics.ts'
import { LogWindow, type WindowBounds } from './log-window.ts'
import { formatResumeCursor } from './resume-cursor.ts'
import { Session, standBehind, type Behind, type SessionLimits } from './session.ts'
import type { Connection } from './transport.ts'

export type HubOptions = WindowBounds & {
  session: SessionLimits
  /** A session whose connection takes no bytes for this long is closed. */
  slowAfterMs: number
  /** Every connection is pinged this often, and closed when nothing came from it for `idleTimeoutMs`. */
  pingIntervalMs: number
  idleTimeoutMs: number
  serverName: string
}

type Deps = {
  options: HubOptions
  metrics: HubMetrics
  /** Milliseconds of a clock that never goes back. */
  now: () => number
  /** There is something to flush, or a session to bring forward. */
  wake: () => void
}

type Sent = { frames: number; bytes: number; updates: number; conflated: number }
const nothing: Sent = { frames: 0, bytes: 0, updates: 0, conflated: 0 }

/**
 * Sessions × live log → frames. Sessions with equal views form a group; each flush sends every group what came since the
 * last one, in one frame made once. What a session can't take, it is brought forward to later, from its cursor.
 *
 * Guarantees, per session: frames go by seq; never an older value after a newer one of a key; each event once, or a gap;
 * what the client knows of every key converges to the state. Holds no timers: `flush`, `catchUp` and `sweep` are called.
 */
export class Hub implements LogListener {
  readonly #options: HubOptions
  readonly #metrics: HubMetrics
  readonly #now: () => number
  readonly #wake: () => void
  readonly #arena = new Arena()
  readonly #window: LogWindow
  readonly #groups = new Groups<Session>()
  readonly #sessions = new Set<Session>()
  readonly #behind = new Set<Session>()
  readonly #catchUp: CatchUp
  /** Every live session has everything up to here. */
  #flushedTo = 0
  #isConnected = false
  #heardAtMs: number
  /** When the oldest entry arrived that waits for a flush. */
  #waitingSinceMs: number | undefined

  constructor({ options, metrics, now, wake }: Deps) {
    this.#options = options
    this.#metrics = metrics
    this.#now = now
    this.#wake = wake
    this.#window = new LogWindow(options)
    this.#heardAtMs = now()
    this.#catchUp = new CatchUp({
      window: this.#window,
      arena: this.#arena,
      metrics,
      say: (session, message) => this.say(session, message),
      giveUp: (session) => this.close(session, 'tooSlow'),
    })
  }

  /* ── the live log ──────────────────────────────────────────────────────────────────────────────────────────────── */

  onSnapshot(snapshot: Snapshot): void {
    const isNewEpoch = snapshot.epoch !== this.#window.epoch
    this.#metrics.logSnapshots.inc({ reason: snapshot.reason })
    // Before the window changes: what a live session has is known by the old head only.
    const standings = [...this.#sessions].map((session) => [session, this.#standBehind(session)] as const)
    this.#window.load(snapshot, this.#now())
    this.#flushedTo = snapshot.head
    this.#waitingSinceMs = undefined
    this.#heardAtMs = this.#now()
    this.#isConnected = true
    if (isNewEpoch) for (const [session, behind] of standings) session.beginAnew(behind, this.#window)
    this.#wake()
  }

  onEntries(entries: readonly Entry[]): void {
    const nowMs = this.#now()
    this.#window.append(entries, nowMs, this.#flushedTo)
    this.#heardAtMs = nowMs
    this.#waitingSinceMs ??= nowMs
    for (const { isLate } of entries) if (isLate) this.#metrics.late.inc()
    this.#wake()
  }

  onConnected(isConnected: boolean): void {
    this.#isConnected = isConnected
  }

  get isLoaded(): boolean {
    return this.#window.epoch !== ''
  }
  /** Why the hub can't be sent traffic; undefined when it can. */
  get logTrouble(): string | undefined {
    if (!this.isLoaded) return 'the live log was not read yet'
    return this.#isConnected ? undefined : 'the live log is away'
  }
  get hasPending(): boolean {
    return this.#flushedTo < this.#window.head
  }
  get sessions(): ReadonlySet<Session> {
    return this.#sessions
  }

  /* ── sessions ──────────────────────────────────────────────────────────────────────────────────────────────────── */

  /** `awaitsMutes`: its client may have muted something; it waits for `setMutes`. */
  open(connection: Connection, protocol: Protocol, awaitsMutes: boolean): Session {
    const { head } = this.#window
    const session = new Session(connection, protocol, awaitsMutes, head, this.#options.session, this.#now())
    this.#sessions.add(session)
    this.#behind.add(session)
    if (protocol === 'v2')
      this.say(session, {
        type: 'hello',
        epoch: this.#window.epoch,
        cursor: formatResumeCursor({ epoch: this.#window.epoch, seq: head, isPartial: false }),
        heartbeatMs: this.#options.pingIntervalMs,
        server: this.#options.serverName,
      })
    this.#wake()
    return session
  }

  subscribe(session: Session, message: Subscribe): void {
    session.subscribe(message, this.#standBehind(session), this.#window, this.#now())
    this.say(session, { type: 'ack', id: message.id })
    this.#wake()
  }

  unsubscribe(session: Session, id: string): void {
    session.unsubscribe(id)
    this.#regroup(session)
    this.say(session, { type: 'ack', id })
  }

  /** From the next frame on. What is no longer muted comes at its present state. */
  setMutes(session: Session, mutes: MuteRules): void {
    const before = session.view
    if (session.setMutes(mutes)) session.walkUncovered(before, this.#standBehind(session), this.#window)
    this.#regroup(session)
    this.#wake()
  }

  say(session: Session, message: ServerMessage): void {
    const result = session.connection.send(JSON.stringify(message))
    if (result === 'sent' || session.standing.at === 'closed') return
    // A client that asks without reading the answers.
    if (result === 'refused') return this.close(session, 'tooSlow')
    this.#block(this.#standBehind(session))
  }

  hear(session: Session): void {
    session.heardAtMs = this.#now()
  }

  hearPong(session: Session): void {
    this.hear(session)
    if (session.isPingOpen) this.#metrics.roundTripSeconds.observe((this.#now() - session.pingedAtMs) / 1000)
    session.isPingOpen = false
  }

  hearDrain(session: Session): void {
    const { standing } = session
    if (standing.at !== 'behind') return
    standing.progressAtMs = this.#now()
    standing.isBlocked = session.connection.bufferedBytes > 0
    if (!standing.isBlocked) this.#wake()
  }

  close(session: Session, reason: CloseReason): void {
    this.closeWith(session, closeCodes[reason], reason)
  }

  closeWith(session: Session, code: number, reason: string): void {
    if (session.standing.at === 'closed') return
    this.hearClose(session, code)
    session.connection.close(code, reason)
  }

  hearClose(session: Session, code: number): void {
    if (session.standing.at === 'closed') return
    this.#metrics.closes.inc({ code: closeLabel(code) })
    if (session.standing.at === 'live') this.#groups.leave(session, session.standing.group)
    session.standing = { at: 'closed' }
    this.#behind.delete(session)
    this.#sessions.delete(session)
  }

  /* ── what the loop calls ───────────────────────────────────────────────────────────────────────────────────────── */

  /** Sends every group what came since the last flush. */
  flush(): void {
    const from = this.#flushedTo
    const to = this.#window.head
    if (from === to) return
    const startedAtMs = this.#now()
    // More came at once than is remembered: each session is told by itself.
    if (from < this.#window.eventsFloor) for (const session of this.#sessions) this.#standBehind(session)
    this.#flushedTo = to
    const kept = [...this.#window.changes(from, to)]
    if (kept.length > 0 && this.#groups.size > 0) {
      const frames = new FlushFrames(this.#arena, kept, to, (seq, isPartial) =>
        formatResumeCursor({ epoch: this.#window.epoch, seq, isPartial }),
      )
      const sent = { plain: { ...nothing }, v2: { ...nothing } }
      for (const [group, places] of this.#groups.concerned(kept))
        frames.give(group.protocol, group.view, places, (some) =>
          this.#sendToGroup(group, some, from, sent[group.protocol]),
        )
      this.#countSent('plain', sent.plain)
      this.#countSent('v2', sent.v2)
    }
    const nowMs = this.#now()
    this.#metrics.flushSeconds.observe((nowMs - startedAtMs) / 1000)
    if (this.#waitingSinceMs !== undefined)
      this.#metrics.frameDelaySeconds.observe((nowMs - this.#waitingSinceMs) / 1000)
    this.#waitingSinceMs = undefined
  }

  /** Brings sessions forward in turns, for about as long as it may. True: there is more to do at once. */
  catchUp(budgetMs: number): boolean {
    const startedAtMs = this.#now()
    for (const session of this.#behind) {
      const { standing } = session
      if (standing.at !== 'behind' || standing.isBlocked || session.awaitsMutes) continue
      if (this.#now() - startedAtMs > budgetMs) return true
      if (this.#catchUp.advance(session, standing, this.#flushedTo, this.#now())) {
        // To the end of the set, where this loop comes by again.
        this.#behind.delete(session)
        this.#behind.add(session)
      } else if (!standing.isBlocked && standing.cursor === this.#flushedTo && session.servedTo <= this.#flushedTo)
        this.#goLive(session)
    }
    return false
  }

  /** Pings, closes the silent and the slow, forgets what is too old. */
  sweep(): void {
    const nowMs = this.#now()
    this.#metrics.forgottenKeys.inc(this.#window.sweep(nowMs))
    for (const session of this.#sessions) {
      const { standing } = session
      const isStuck =
        standing.at === 'behind' && standing.isBlocked && nowMs - standing.progressAtMs >= this.#options.slowAfterMs
      if (isStuck || nowMs - session.heardAtMs >= this.#options.idleTimeoutMs) this.close(session, 'tooSlow')
      else if (nowMs - session.pingedAtMs >= this.#options.pingIntervalMs) {
        session.pingedAtMs = nowMs
        session.isPingOpen = true
        session.connection.ping()
      }
      if (standing.at === 'behind') session.stopWaiting(standing, this.#window, nowMs)
    }
    if (this.#behind.size > 0) this.#wake()
  }

  figures(): HubFigures {
    const figures = { sessions: { plain: 0, v2: 0 }, subscriptions: 0, lagging: 0 }
    for (const { protocol, subscriptions, standing } of this.#sessions) {
      figures.sessions[protocol]++
      figures.subscriptions += subscriptions.size
      if (standing.at === 'behind' && standing.isBlocked) figures.lagging++
    }
    return {
      ...figures,
      groups: this.#groups.size,
      isLogConnected: this.#isConnected,
      logSilenceSeconds: (this.#now() - this.#heardAtMs) / 1000,
      stateKeys: this.#window.stateKeys,
    }
  }

  /* ── standings ─────────────────────────────────────────────────────────────────────────────────────────────────── */

  #sendToGroup(group: Group<Session>, frames: readonly Frame[], fromSeq: number, sent: Sent): void {
    for (const session of group.members) {
      let reachedSeq = fromSeq
      for (const frame of frames) {
        const result = session.connection.send(frame.bytes)
        if (result !== 'refused') {
          reachedSeq = frame.toSeq
          sent.frames++
          sent.bytes += frame.bytes.length
          sent.updates += frame.updates
          sent.conflated += frame.conflated
        }
        if (result === 'sent') continue
        this.#metrics.fellBehind.inc()
        this.#block(this.#standBehind(session, reachedSeq))
        break
      }
    }
  }

  #countSent(protocol: Protocol, { frames, bytes, updates, conflated }: Sent): void {
    this.#metrics.frames.inc({ protocol }, frames)
    this.#metrics.bytes.inc({ protocol }, bytes)
    this.#metrics.updates.inc({ how: 'flushed' }, updates)
    this.#metrics.conflated.inc(conflated)
  }

  #standBehind(session: Session, cursor = this.#flushedTo): Behind {
    const { standing } = session
    if (standing.at === 'behind') return standing
    const behind = standBehind(cursor, this.#now())
    if (standing.at === 'closed') return behind
    this.#groups.leave(session, standing.group)
    this.#behind.add(session)
    return (session.standing = behind)
  }

  #block(behind: Behind): void {
    if (!behind.isBlocked) behind.progressAtMs = this.#now()
    behind.isBlocked = true
  }

  #goLive(session: Session): void {
    if (!this.#behind.delete(session)) return
    session.standing = { at: 'live', group: this.#groups.join(session, session.protocol, session.view) }
  }

  #regroup(session: Session): void {
    if (session.standing.at !== 'live') return
    this.#groups.leave(session, session.standing.group)
    session.standing.group = this.#groups.join(session, session.protocol, session.view)
  }
}
