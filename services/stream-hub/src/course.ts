import type { SnapshotPart } from './frames.ts'
import type { Group } from './groups.ts'
import type { Lane } from './lane.ts'
import type { Kept } from './log-window.ts'
import type { Session } from './session.ts'
import type { SharedSnapshot } from './shared-snapshots.ts'
import type { Filter, Wishes } from './subscription.ts'
import type { View } from './view.ts'

export type Subscription = {
  readonly id: string
  wishes: Wishes
  filter: Filter
  /** Frames come no closer than this. */
  intervalMs: number
  /** Nothing up to here is owed to it. */
  fromSeq: number
  /** The client has the state up to here, and the events from `fromSeq` up to there: they were sent, or its cursor says so. */
  stateTo: number
  eventsTo: number
  /** Of the state up to `stateTo`, the client may lack what came after this. It is sent as soon as this hub has got so far. */
  lacksAfter?: number
  /**
   * Vehicles in its viewport that a snapshot left out, for all that there was of them was replaced meanwhile: they enter with
   * what replaced it.
   */
  readonly untold: Set<string>
  /** Why it is to get a snapshot when this hub is as far as its client. */
  owes?: SnapshotPart['reason']
}

/**
 * A session's way through the log: its lane, its view and where it stands. A session has one for each rate that its
 * subscriptions ask for; events come on the fastest.
 *
 *            ┌─────── a send was queued, a subscription was made, a mute taken back ───────┐
 *            │                                                                             ▼
 *   open ► live ◄────────── nothing to walk, cursor = what its lane was sent ─────────── behind ◄ open
 *            └──────────────────────────────► closed ◄─────────────────────────────────────┘
 *
 * A live course costs a place in its group. One that is behind costs a cursor: whatever it missed is found in the log
 * window when its connection takes bytes again.
 */
export class Course {
  readonly session: Session
  readonly lane: Lane<Course>
  subscriptions: readonly Subscription[]
  view: View
  standing: Standing

  constructor(
    session: Session,
    lane: Lane<Course>,
    subscriptions: readonly Subscription[],
    view: View,
    standing: Behind,
  ) {
    this.session = session
    this.lane = lane
    this.subscriptions = subscriptions
    this.view = view
    this.standing = standing
  }

  /** Everything up to here was sent, as far as a subscription wants it. */
  get position(): number {
    return this.standing.at === 'behind' ? this.standing.cursor : this.lane.flushedTo
  }

  /** How far each of its subscriptions has come, in state and, if events come on this course, in events. */
  get #had(): number[] {
    const { subscriptions, session } = this
    const events = session.fastest === this ? [...session.subscriptions.values()] : []
    return [...subscriptions.map(({ stateTo }) => stateTo), ...events.map(({ eventsTo }) => eventsTo)]
  }

  /** Up to here, nothing is to be sent. */
  get has(): number {
    const had = this.#had
    return had.length === 0 ? 0 : Math.min(...had)
  }

  /** What its lane will send is what it lacks, and nothing else. */
  get isReadyToGoLive(): boolean {
    const { standing, lane, subscriptions } = this
    if (standing.at !== 'behind' || standing.walks.length > 0 || standing.pass) return false
    if (standing.cursor !== lane.flushedTo || this.#had.some((seq) => seq > lane.flushedTo)) return false
    return subscriptions.every(({ lacksAfter, untold }) => lacksAfter === undefined && untold.size === 0)
  }
}

export type Standing = { at: 'live'; group: Group<Course> } | Behind | { at: 'closed' }

export type Behind = {
  at: 'behind'
  /** May lie ahead of what the lane was sent. */
  cursor: number
  /** Each is sent as soon as it may, before what changed after that. */
  walks: Walk[]
  /** With viewports: up to where it was told what entered and left. Before it is there, its state is not whole. */
  pass?: { toSeq: number; entered: ReadonlyMap<Subscription, ReadonlySet<string>> }
}

export const standBehind = (cursor: number): Behind => ({ at: 'behind', cursor, walks: [] })

/** A part of the state that the client has to be sent, whenever it changed last. */
export type Walk = {
  readonly subscription?: Subscription
  /** It is the state up to here, and waits until its course has come so far. Absent: it waits for nothing. */
  readonly seq?: number
  readonly entries: Iterator<Kept>
  /** The one that the last frame had no room for. */
  heldBack?: Kept
  readonly sees: (kept: Kept) => boolean
  /** Absent: sent as updates. */
  readonly snapshot?: { id: string; part: number; reason: SnapshotPart['reason'] }
  /** Vehicles of which something was muted. */
  readonly uncovers?: ReadonlySet<string>
  /** With a viewport: its vehicles that were not sent yet. */
  readonly untold?: Set<string>
  /** Its frames are made for others, too. */
  readonly shared?: SharedSnapshot
}

/** A snapshot for one of these reasons tells a client that it may have missed something. */
export const beginsAnew = (reason: SnapshotPart['reason']): boolean => reason === 'epoch' || reason === 'cursor_unknown'

export const isBeginning = ({ snapshot }: Walk): boolean => snapshot !== undefined && beginsAnew(snapshot.reason)

export const readyWalk = ({ walks, cursor }: Behind): Walk | undefined => walks.find(({ seq = 0 }) => seq <= cursor)

/** Those of which it has to be told what enters and leaves. */
export const boxedOf = ({ subscriptions, view }: Course): Subscription[] =>
  subscriptions.filter(({ filter }) => view.boxed.includes(filter))
