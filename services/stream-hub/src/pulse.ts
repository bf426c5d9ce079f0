import type { HubMetrics } from './hub-metrics.ts'
import type { Session } from './session.ts'
import { laneIntervalMs } from './subscriptions.ts'

export type PulseOptions = {
  /** A session whose connection makes no progress for this long is closed. */
  slowAfterMs: number
  /** A pong that takes longer, behind all data, tells of a slow connection. */
  lagAfterMs: number
  /** Every connection is pinged this often, and closed when nothing came from it for `idleTimeoutMs`. */
  pingIntervalMs: number
  idleTimeoutMs: number
}

type Deps = {
  options: PulseOptions
  metrics: HubMetrics
  now: () => number
  fallBehind: (session: Session) => void
  slow: (session: Session, intervalMs: number) => void
  close: (session: Session) => void
}

/** A connection that gets data is pinged this often … */
const probeMs = 2_000
/** … or less often, so that pings of all together stay below this many a second. */
const maxProbesPerSecond = 2_500
/** Who falls behind again within this time gets frames more seldom; who doesn't, more often again. */
const patienceMs = 30_000
const slowestMs = 2_000

/**
 * How well each connection keeps up. Kernels and proxies take megabytes before a send has to wait, so what is measured is how
 * long a ping takes to come back as a pong: it stands behind the data, in every buffer on the way.
 */
export class Pulse {
  readonly #deps: Deps

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Looks at one session of so many. */
  feel(session: Session, sessions: number): void {
    const { options, now, close } = this.#deps
    const nowMs = now()
    const isHeld = session.isBlocked || session.isLagging
    if (isHeld && nowMs - session.progressAtMs >= options.slowAfterMs) return close(session)
    if (nowMs - session.heardAtMs >= options.idleTimeoutMs) return close(session)
    if (session.isPingOpen) this.#feelLag(session, nowMs)
    else if (this.#isPingDue(session, sessions, nowMs)) {
      session.pingedAtMs = nowMs
      session.framesPinged = session.sent.frames
      session.isPingOpen = true
      session.connection.ping()
    }
    this.#recover(session, nowMs)
  }

  hearPong(session: Session): void {
    if (!session.isPingOpen) return
    const nowMs = this.#deps.now()
    session.roundTripMs = nowMs - session.pingedAtMs
    this.#deps.metrics.roundTripSeconds.observe(session.roundTripMs / 1000)
    session.isPingOpen = session.isPongOverdue = session.isLagging = false
  }

  /** It fell behind: once is chance, twice within `patienceMs` is too much for it. */
  noteFall(session: Session): void {
    const { now, metrics, slow } = this.#deps
    metrics.fellBehind.inc()
    const nowMs = now()
    const isAgain = nowMs - session.fellBehindAtMs < patienceMs
    session.fellBehindAtMs = nowMs
    if (isAgain) slow(session, laneIntervalMs(Math.min(slowestMs, Math.max(200, session.slowedMs * 2))))
  }

  #feelLag(session: Session, nowMs: number): void {
    if (session.isLagging || nowMs - session.pingedAtMs < this.#deps.options.lagAfterMs) return
    // Seen once it may be that we were slow ourselves, and the pong lies in our own buffers.
    if (!session.isPongOverdue) {
      session.isPongOverdue = true
      return
    }
    const { isLive } = session
    session.isLagging = true
    session.progressAtMs = session.pingedAtMs
    this.#deps.fallBehind(session)
    if (isLive) this.noteFall(session)
  }

  #isPingDue({ pingedAtMs, framesPinged, sent }: Session, sessions: number, nowMs: number): boolean {
    const { pingIntervalMs } = this.#deps.options
    const spreadMs = (sessions / maxProbesPerSecond) * 1_000
    const dueAfterMs =
      sent.frames > framesPinged ? Math.min(pingIntervalMs, Math.max(probeMs, spreadMs)) : pingIntervalMs
    return nowMs - pingedAtMs >= dueAfterMs
  }

  #recover(session: Session, nowMs: number): void {
    if (session.slowedMs === 0 || !session.takesData || nowMs - session.fellBehindAtMs < patienceMs) return
    session.fellBehindAtMs = nowMs - patienceMs / 2
    this.#deps.slow(session, session.slowedMs > 200 ? laneIntervalMs(session.slowedMs / 2.5) : 0)
  }
}
