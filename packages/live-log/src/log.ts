import type { UpdateKind } from '@flasktoria/contracts/updates'

/**
 * The live log: the ordered, resumable sequence of updates between ingest and its readers.
 *
 * - Appends get consecutive `seq`s under an `epoch`. The epoch changes when the log lost what it promised to remember.
 * - MERGE updates (position, sensordata, sensorstatus, vehiclestatus) keep the latest by event time as `state`; of equal times the last one
 *   appended. Late sensordata, older than the state, still has its place in the log, marked `isLate`: a window over time wants
 *   it, a picture of now must skip it. Late positions and statuses have none: nobody asks where a vehicle or a status was.
 * - A vehiclestatus says what holds from now on, so the log stamps it: the draft's JSON ends without a timestamp, and the log adds
 *   its own time to it, which is the event time too. One that says the same as the present one is not appended (a duplicate).
 * - EVENT updates (anomaly) are kept in order and appended once per `id`.
 * - `json` is the update exactly as a browser gets it: serialised once, by ingest, never parsed on the way.
 */
export type Entry = {
  seq: number
  kind: UpdateKind
  vehicle: string
  /** Empty for kinds without a sensor. */
  sensor: string
  /** Epoch milliseconds: when it happened, as the record says. */
  eventTs: number
  /**
   * Epoch milliseconds: when the log took it, by the log's own clock, the same for all entries of an append. Entries of the
   * state have theirs too. 0: unknown, appended by a version that did not note it.
   */
  appendedAt: number
  isLate: boolean
  json: string
}

/** What ingest wants to append. */
export type Draft = {
  kind: UpdateKind
  vehicle: string
  sensor: string
  /** Of a vehiclestatus: whatever; the log stamps it. */
  eventTs: number
  json: string
  /** EVENT only: appended once per id, whoever sends it and how often. */
  id?: string
  /**
   * MERGE only: the status that follows from this update. Appended as a `sensorstatus` entry behind it when this update
   * became the newest of its key and the status differs from the one in the state. So a status never follows from a late
   * reading, and is never sent twice, however many writers there are.
   */
  statusJson?: string
  /** With `statusJson`: the present status stays if it is this one, for the reading is too near its limit to end it. */
  heldStatusJson?: string
}

export type Appended = { entries: number; late: number; duplicates: number }

export interface LogWriter {
  /**
   * Appends atomically, in order. Rejects with `LogUnavailable` when the log can't be reached in time: the batch may then
   * have been appended all the same, and appending it again is harmless. Drafts are asked for as their turn comes, once.
   */
  append(drafts: Iterable<Draft>): Promise<Appended>
  /** Resolves when the log answers; rejects with `LogUnavailable`. */
  ping(): Promise<void>
  close(): Promise<void>
}

export type Snapshot = {
  epoch: string
  /** Everything up to this seq is in `state` and `recent`. 0: nothing was ever appended. */
  head: number
  /** The latest entry of each MERGE key, in order of seq. */
  state: Entry[]
  /** What the log still remembers of its sequence, in order, late ones included, up to `head`; or the end of it, as wished. */
  recent: Entry[]
  reason: 'start' | 'epoch' | 'gap'
}

/** Calls are made in order, one at a time, never after `close`. They must not throw. */
export type LogListener = {
  /** The first call, and again whenever continuity was lost: replace everything. */
  onSnapshot(snapshot: Snapshot): void
  /** Consecutive entries: the first has seq `head + 1`. */
  onEntries(entries: readonly Entry[]): void
  /** The reader lost (false) or regained (true) the log; what it delivered stays valid. */
  onConnected?(isConnected: boolean): void
}

export interface LogFollower {
  close(): Promise<void>
}

export type FollowOptions = {
  /** Of `recent`, snapshots carry about as many entries at most, the newest; everything when left out. */
  maxRecent?: number
}

export interface LogReader {
  /**
   * Resolves once the first snapshot was delivered, however long that takes; keeps following, healing holes by itself, until
   * closed. Rejects with `LogUnavailable` when the log is closed before.
   */
  follow(listener: LogListener, options?: FollowOptions): Promise<LogFollower>
  ping(): Promise<void>
  close(): Promise<void>
}

export class LogUnavailable extends Error {
  override readonly name = 'LogUnavailable'
}

/** An epoch that no log had before. */
export const freshEpoch = (): string => Math.random().toString(36).slice(2, 12).padEnd(10, '0')

/** What a vehiclestatus says, up to its time; of the draft it comes from and of the entry that it becomes. */
export const stampedFrom = (draftJson: string): string => `${draftJson.slice(0, -1)},"timestamp":`

/**
 * Whether a MERGE key is forgotten when nothing arrived for it for long. A vehicle that reports all the time keeps its status
 * without an update of it; so only the status of one that is gone grows old.
 */
export const canGrowOld = (kind: string, json: string): boolean =>
  kind !== 'vehiclestatus' || json.includes('"value":"offline"')

/** The MERGE key of an entry. Tabs can't occur in ids. */
export const mergeKey = (entry: { kind: UpdateKind; vehicle: string; sensor: string }): string =>
  `${entry.kind}\t${entry.vehicle}\t${entry.sensor}`
