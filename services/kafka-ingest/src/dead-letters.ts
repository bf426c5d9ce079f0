import type { RawRecord } from './record-source.ts'

/** A record that could not be used, and why. */
export type DeadLetter = {
  reason: string
  topic: string
  partition: number
  offset: number
  /** When the producer or the broker stamped the record, and when we refused it; ISO 8601. */
  recordTime: string
  refusedAt: string
  /** The whole size of the value. */
  bytes: number
  /** The value, base64, cut to `maxKeptBytes` of its bytes; null for a tombstone. */
  value: string | null
}

/** Keeps the newest dead letters, up to a bound. Best effort: it never delays the pipeline and never throws. */
export interface DeadLetters {
  put(letters: readonly DeadLetter[]): void
  /** Newest first. */
  read(limit: number): Promise<DeadLetter[]>
  close(): Promise<void>
}

const maxKeptBytes = 1_024

export const deadLetter = (record: RawRecord, reason: string, now: number): DeadLetter => ({
  reason,
  topic: record.topic,
  partition: record.partition,
  offset: record.offset,
  recordTime: isoTime(record.timestamp),
  refusedAt: isoTime(now),
  bytes: record.value?.length ?? 0,
  value: record.value?.toString('base64', 0, maxKeptBytes) ?? null,
})

/** A producer may stamp its records with anything; a Date can't show all of it. */
const isoTime = (ts: number): string => (Math.abs(ts) <= 8.64e15 ? new Date(ts).toISOString() : String(ts))

/** A ring in memory. */
export function createMemoryDeadLetters(capacity: number): DeadLetters {
  const ring: DeadLetter[] = []
  let next = 0
  return {
    put: (letters) => {
      for (const letter of letters) {
        ring[next] = letter
        next = (next + 1) % capacity
      }
    },
    read: (limit) => Promise.resolve([...ring.slice(next), ...ring.slice(0, next)].slice(-limit).toReversed()),
    close: () => Promise.resolve(),
  }
}
