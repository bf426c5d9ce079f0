import { updateClass } from '@flasktoria/contracts/updates'
import {
  mergeKey,
  type Appended,
  type Draft,
  type Entry,
  type LogFollower,
  type LogListener,
  type LogReader,
  type LogWriter,
} from './log.ts'

export type MemoryLogOptions = {
  /** How long entries and event ids are remembered. */
  recentMs?: number
  /** How many entries are remembered at most. */
  maxRecent?: number
  now?: () => number
}

export type MemoryLog = LogWriter & LogReader

/** The live log inside one process: the same promises as Redis gives between processes. Its epoch ends with the process. */
export function createMemoryLog({
  recentMs = 600_000,
  maxRecent = 200_000,
  now = Date.now,
}: MemoryLogOptions = {}): MemoryLog {
  const epoch = Math.random().toString(36).slice(2, 14)
  const state = new Map<string, Entry>()
  const eventIds = new Map<string, number>()
  const followers = new Set<LogListener>()
  let recent: { arrivedAt: number; entry: Entry }[] = []
  let head = 0

  const place = ({ kind, vehicle, sensor, eventTs, json }: Draft, isLate: boolean): Entry => ({
    seq: ++head,
    kind,
    vehicle,
    sensor,
    eventTs,
    isLate,
    json,
  })

  function trim(arrivedAt: number): void {
    const oldest = arrivedAt - recentMs
    const cut = Math.max(
      recent.length - maxRecent,
      recent.findIndex((item) => item.arrivedAt >= oldest),
    )
    if (cut > 0) recent = recent.slice(cut)
    for (const [id, seenAt] of eventIds) {
      if (seenAt >= oldest && eventIds.size <= maxRecent) break
      eventIds.delete(id)
    }
  }

  return {
    async append(drafts): Promise<Appended> {
      const arrivedAt = now()
      const entries: Entry[] = []
      const counts = { late: 0, duplicates: 0 }
      for (const draft of drafts) {
        if (updateClass[draft.kind] === 'event') {
          if (draft.id !== undefined && eventIds.has(draft.id)) counts.duplicates++
          else {
            if (draft.id !== undefined) eventIds.set(draft.id, arrivedAt)
            entries.push(place(draft, false))
          }
          continue
        }
        const key = mergeKey(draft)
        const known = state.get(key)
        if (known && known.eventTs > draft.eventTs) {
          counts.late++
          if (draft.kind === 'sensordata') entries.push(place(draft, true))
          continue
        }
        const entry = place(draft, false)
        state.delete(key)
        state.set(key, entry)
        entries.push(entry)
        if (draft.statusJson === undefined) continue
        const status: Draft = { ...draft, kind: 'sensorstatus', json: draft.statusJson }
        const statusKey = mergeKey(status)
        if (state.get(statusKey)?.json === draft.statusJson) continue
        const statusEntry = place(status, false)
        state.delete(statusKey)
        state.set(statusKey, statusEntry)
        entries.push(statusEntry)
      }
      for (const entry of entries) recent.push({ arrivedAt, entry })
      trim(arrivedAt)
      if (entries.length > 0) for (const follower of followers) follower.onEntries(entries)
      return { entries: entries.length, ...counts }
    },
    async follow(listener): Promise<LogFollower> {
      listener.onSnapshot({
        epoch,
        head,
        state: [...state.values()],
        recent: recent.map(({ entry }) => entry),
        reason: 'start',
      })
      listener.onConnected?.(true)
      followers.add(listener)
      return { close: async () => void followers.delete(listener) }
    },
    ping: async () => {},
    close: async () => followers.clear(),
  }
}
