import { Groups } from './groups.ts'
import { easyMs, flushIntervalMs, type PaceBounds } from './pace.ts'

/** One more member opens another lane, as long as there are not too many. */
const maxMembers = 1_000
const maxLanes = 16
/** How much one flush counts in the average of their cost. */
const smoothing = 0.2

/** Groups that are flushed together. Many members stand in several lanes, which are flushed one after the other. */
export class Lane<Member> {
  /** 0: as often as is good for all. */
  readonly intervalMs: number
  readonly groups = new Groups<Member>()
  /** Who is live has everything up to here. */
  flushedTo: number
  /** Those that are behind count, too. */
  members = 0
  dueAtMs = 0
  costMs = 0

  constructor(intervalMs: number, flushedTo: number) {
    this.intervalMs = intervalMs
    this.flushedTo = flushedTo
  }
}

/** The lanes, by how often their members want frames, and when which is due. */
export class Lanes<Member> {
  readonly #bounds: PaceBounds
  readonly #lanes: Lane<Member>[] = []

  constructor(bounds: PaceBounds) {
    this.#bounds = bounds
  }

  [Symbol.iterator](): Iterator<Lane<Member>> {
    return this.#lanes[Symbol.iterator]()
  }

  /** The lane for one more member. A new one begins at `head`. */
  enter(intervalMs: number, head: number): Lane<Member> {
    const alike = this.#lanes.filter((lane) => lane.intervalMs === intervalMs)
    const emptiest = alike.toSorted((one, other) => one.members - other.members)[0]
    let lane = emptiest
    if (!lane || (lane.members >= maxMembers && alike.length < maxLanes)) {
      lane = new Lane(intervalMs, head)
      this.#lanes.push(lane)
    }
    lane.members++
    return lane
  }

  leave(lane: Lane<Member>): void {
    if (--lane.members === 0) this.#lanes.splice(this.#lanes.indexOf(lane), 1)
  }

  /** Of those that have something to flush, the one that is due first. */
  next(head: number): Lane<Member> | undefined {
    let next: Lane<Member> | undefined
    for (const lane of this.#lanes) if (lane.flushedTo < head && !(next && next.dueAtMs <= lane.dueAtMs)) next = lane
    return next
  }

  /**
   * A lane was flushed. After a quiet time the lanes are flushed at once, and from then on each at a place of its own in the
   * interval, so that they don't wait for one another.
   */
  hasFlushed(lane: Lane<Member>, startedAtMs: number, costMs: number): void {
    lane.costMs += (costMs - lane.costMs) * smoothing
    const alike = this.#lanes.filter(({ intervalMs }) => intervalMs === lane.intervalMs)
    const intervalMs = Math.max(lane.intervalMs, this.#paceMs())
    const wasQuiet = startedAtMs - lane.dueAtMs >= intervalMs
    const phase = (alike.indexOf(lane) + 1) / alike.length
    if (lane.intervalMs > 0) lane.dueAtMs = startedAtMs + intervalMs
    else lane.dueAtMs = wasQuiet ? startedAtMs + intervalMs * phase : lane.dueAtMs + intervalMs
  }

  /** A lane with a rate is flushed more seldom than the others, and counts so much less. */
  #paceMs(): number {
    const costMs = this.#lanes.reduce(
      (sum, lane) => sum + lane.costMs * (easyMs / Math.max(easyMs, lane.intervalMs)),
      0,
    )
    return flushIntervalMs(costMs, this.#bounds)
  }
}
