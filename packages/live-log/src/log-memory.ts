import { updateClass } from '@flasktoria/contracts/updates'
import {
  canGrowOld,
  freshEpoch,
  mergeKey,
  stampedFrom,
  type Appended,
  type Draft,
  type Entry,
  type LogFollower,
  type LogListener,
  type LogReader,
  type LogWriter,
} from './log.ts'

export type MemoryLogOptions = {
  /** How long, and how many, entries are remembered. */
  recentMs?: number
  maxRecent?: number
  /** How long a MERGE key is kept that nothing arrives for, and an event id. */
  retentionMs?: number
  maxEventIds?: number
  now?: () => number
}

export type MemoryLog = LogWriter & LogReader

/** The live log inside one process: the same promises as Redis gives between processes. Its epoch ends with the process. */
export function createMemoryLog(options: MemoryLogOptions = {}): MemoryLog {
  const log = new Sequence(options)
  const followers = new Set<Follower>()
  const undelivered: (readonly Entry[])[] = []
  let isDelivering = false

  // A listener may append: what it appends comes after what it is being told, for every follower.
  function deliver(entries: readonly Entry[]): void {
    undelivered.push(entries)
    if (isDelivering) return
    isDelivering = true
    try {
      for (let batch; (batch = undelivered.shift());)
        for (const { listener, since } of followers) if (batch[0]!.seq > since) listener.onEntries(batch)
    } finally {
      isDelivering = false
    }
  }

  return {
    async append(drafts): Promise<Appended> {
      const { entries, late, duplicates } = log.append(drafts)
      if (entries.length > 0) deliver(entries)
      return { entries: entries.length, late, duplicates }
    },
    async follow(listener, { maxRecent = Infinity } = {}): Promise<LogFollower> {
      const follower: Follower = { listener, since: log.head }
      listener.onSnapshot({ ...log.picture(maxRecent), reason: 'start' })
      followers.add(follower)
      listener.onConnected?.(true)
      return { close: async () => void followers.delete(follower) }
    },
    ping: async () => {},
    close: async () => followers.clear(),
  }
}

type Follower = { listener: LogListener; since: number }

/** What the log remembers: the last entries, the latest of each MERGE key, and the ids of events. */
class Sequence {
  readonly #limits: Required<MemoryLogOptions>
  readonly #epoch = freshEpoch()
  #head = 0
  /** Oldest first; what stands before `#recentStart` is forgotten and cut off in strides. */
  #recent: Entry[] = []
  #recentStart = 0
  /** By arrival: an update moves its key to the end. */
  readonly #state = new Map<string, { entry: Entry; since: number }>()
  readonly #eventIds = new Map<string, number>()

  constructor({
    recentMs = 600_000,
    maxRecent = 200_000,
    retentionMs = 86_400_000,
    maxEventIds = 200_000,
    now = Date.now,
  }: MemoryLogOptions) {
    this.#limits = { recentMs, maxRecent, retentionMs, maxEventIds, now }
  }

  get head(): number {
    return this.#head
  }

  picture(maxRecent: number) {
    this.#forget(this.#limits.now())
    return {
      epoch: this.#epoch,
      head: this.#head,
      state: Array.from(this.#state.values(), ({ entry }) => entry).toSorted((one, other) => one.seq - other.seq),
      recent: this.#recent.slice(Math.max(this.#recentStart, this.#recent.length - maxRecent)),
    }
  }

  append(drafts: Iterable<Draft>): { entries: Entry[]; late: number; duplicates: number } {
    const appendedAt = this.#limits.now()
    const added = { entries: [] as Entry[], late: 0, duplicates: 0 }
    for (const draft of drafts) {
      if (draft.kind === 'vehiclestatus') {
        const entry = this.#stamp(draft, appendedAt)
        if (entry) added.entries.push(entry)
        else added.duplicates++
      } else if (updateClass[draft.kind] === 'event') {
        if (this.#isKnown(draft.id, appendedAt)) added.duplicates++
        else added.entries.push(this.#place(draft, appendedAt))
      } else if (this.#isLate(draft)) {
        added.late++
        if (draft.kind === 'sensordata') added.entries.push(this.#place(draft, appendedAt, true))
      } else {
        added.entries.push(this.#keep(draft, appendedAt))
        const { statusJson, heldStatusJson } = draft
        if (statusJson === undefined) continue
        const status: Draft = { ...draft, kind: 'sensorstatus', json: statusJson }
        const present = this.#state.get(mergeKey(status))?.entry.json
        if (present === undefined || (present !== statusJson && present !== heldStatusJson))
          added.entries.push(this.#keep(status, appendedAt))
      }
    }
    this.#forget(appendedAt)
    return added
  }

  #isLate(draft: Draft): boolean {
    const latest = this.#state.get(mergeKey(draft))
    return latest !== undefined && latest.entry.eventTs > draft.eventTs
  }

  /** Undefined: it says what is known already. */
  #stamp(draft: Draft, appendedAt: number): Entry | undefined {
    const said = stampedFrom(draft.json)
    if (this.#state.get(mergeKey(draft))?.entry.json.startsWith(said)) return undefined
    return this.#keep({ ...draft, eventTs: appendedAt, json: `${said}${appendedAt}}` }, appendedAt)
  }

  #isKnown(id: string | undefined, appendedAt: number): boolean {
    if (!id) return false
    if (this.#eventIds.has(id)) return true
    this.#eventIds.set(id, appendedAt)
    return false
  }

  #keep(draft: Draft, appendedAt: number): Entry {
    const entry = this.#place(draft, appendedAt)
    const key = mergeKey(entry)
    this.#state.delete(key)
    this.#state.set(key, { entry, since: appendedAt })
    return entry
  }

  #place({ kind, vehicle, sensor, eventTs, json }: Draft, appendedAt: number, isLate = false): Entry {
    const entry: Entry = { seq: ++this.#head, kind, vehicle, sensor, eventTs, appendedAt, isLate, json }
    this.#recent.push(entry)
    return entry
  }

  #forget(now: number): void {
    const { recentMs, maxRecent, retentionMs, maxEventIds } = this.#limits
    while (this.#recentStart < this.#recent.length) {
      const isTooMany = this.#recent.length - this.#recentStart > maxRecent
      if (!isTooMany && this.#recent[this.#recentStart]!.appendedAt >= now - recentMs) break
      this.#recentStart++
    }
    if (this.#recentStart > this.#recent.length / 2) {
      this.#recent = this.#recent.slice(this.#recentStart)
      this.#recentStart = 0
    }
    for (const [key, { entry, since }] of this.#state) {
      if (since >= now - retentionMs) break
      this.#state.delete(key)
      if (!canGrowOld(entry.kind, entry.json)) this.#state.set(key, { entry, since: now })
    }
    for (const [id, appendedAt] of this.#eventIds) {
      if (appendedAt >= now - retentionMs && this.#eventIds.size <= maxEventIds) break
      this.#eventIds.delete(id)
    }
  }
}
