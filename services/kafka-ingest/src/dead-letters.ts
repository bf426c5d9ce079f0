import { z } from 'zod'
import type { HeaderValue, RawRecord } from './record-source.ts'
import { maxRecordBytes } from './topic-profile.ts'

const base64 = z.string().nullable()

/** A record that could not be used, and why: all that is needed to send it again. */
export const deadLetterSchema = z.object({
  reason: z.string(),
  topic: z.string(),
  partition: z.number(),
  offset: z.number(),
  /** When the producer or the broker stamped the record, and when we refused it; ISO 8601. */
  recordTime: z.string(),
  refusedAt: z.string(),
  /** The whole size of the value. */
  bytes: z.number(),
  /** The value, base64, cut to `maxKeptBytes` of its bytes; null for a tombstone. */
  value: base64,
  key: base64.default(null),
  /** Name and value (base64), in order; a name may stand more than once. */
  headers: z.array(z.tuple([z.string(), z.string()])).default([]),
  /** Whether key and headers were too large to keep. */
  isBare: z.boolean().default(false),
})
export type DeadLetter = z.output<typeof deadLetterSchema>

/** Keeps the newest dead letters, up to a bound. Best effort: it never delays the pipeline and never throws. */
export interface DeadLetters {
  put(letters: readonly DeadLetter[]): void
  /** Newest first. */
  read(limit: number): Promise<DeadLetter[]>
  close(): Promise<void>
}

/** Whatever could have been decoded is kept whole. */
const maxKeptBytes = maxRecordBytes
const maxAttachedBytes = 4_096

export function deadLetter(record: RawRecord, reason: string, now: number): DeadLetter {
  const key = record.attached ? record.attached.key : record.key === undefined ? null : bytesOf(record.key)
  const headers = headersOf(record.attached?.headers ?? {})
  const attachedBytes = headers.reduce((sum, [name, value]) => sum + name.length + value.length, key?.length ?? 0)
  const isBare = attachedBytes > maxAttachedBytes
  return {
    reason,
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    recordTime: isoTime(record.timestamp),
    refusedAt: isoTime(now),
    bytes: record.value?.length ?? 0,
    value: record.value?.toString('base64', 0, maxKeptBytes) ?? null,
    key: isBare ? null : (key?.toString('base64') ?? null),
    headers: isBare ? [] : headers.map(([name, value]): [string, string] => [name, value.toString('base64')]),
    isBare,
  }
}

/** Whether nothing of it was cut. */
export const isWhole = ({ value, bytes, isBare }: DeadLetter): boolean =>
  !isBare && (value === null || Buffer.byteLength(value, 'base64') === bytes)

const headersOf = (headers: Readonly<Record<string, HeaderValue>>): [string, Buffer][] =>
  Object.entries(headers).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values ?? '']).map((value): [string, Buffer] => [name, bytesOf(value)]),
  )

const bytesOf = (value: Buffer | string): Buffer => (typeof value === 'string' ? Buffer.from(value) : value)

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

/** The first one is read, each keeps what it can. */
export const keptTwice = (first: DeadLetters, second: Omit<DeadLetters, 'read'>): DeadLetters => ({
  put: (letters) => {
    first.put(letters)
    second.put(letters)
  },
  read: (limit) => first.read(limit),
  close: async () => {
    await Promise.all([first.close(), second.close()])
  },
})
