import type { Logger } from '@flasktoria/service-kit/logger'

/** What a record says about a sensor, in its producer's words: nobody has judged it yet. */
export type SensorFields = {
  ok: true
  kind: 'sensor'
  vehicle: string
  sensor: string
  /** Epoch ms; NaN: what stood there is no time. */
  ts: number
  /** Text is what stood behind the label; undefined: there was no label. */
  value: string | number | undefined
}

/** A record with latitude and longitude in fields of their own. */
export type FixFields = { ok: true; kind: 'fix'; vehicle: string; ts: number; lat: number; long: number }

export type AnomalyFields = {
  ok: true
  kind: 'anomaly'
  vehicle: string
  /** May be empty: an anomaly of the whole vehicle. */
  sensor: string
  ts: number
  anomalyId: number
  detectionTime: string
  confirmationTime: string
  rootCause: string
  recommendation: string
}

export type DecodeFailure =
  | 'tombstone'
  | 'oversized'
  /** Plainly another framing, or no framing where one is configured. */
  | 'confluent_framing'
  | 'single_object_framing'
  | 'json_text'
  | 'not_framed'
  | 'other_producer'
  /** Whoever wrote it used a schema that nobody told us, or one without the fields that we need. */
  | 'unknown_schema'
  | 'unfit_schema'
  | 'malformed'
  | 'missing_field'
  | 'wrong_type'

export type Undecoded = { ok: false; reason: DecodeFailure }
export type Decoded = SensorFields | FixFields | AnomalyFields | Undecoded

/** How the records of a topic are written, and what their fields mean: configuration, compiled once, never a guess. */
export type TopicProfile = {
  readonly name: string
  readonly kind: 'sensor' | 'anomaly'
  /**
   * Reads the value that stands between two positions: all of it, unless they are given. Never throws. What it lets through is
   * well-formed, not yet sense: most records with flipped bits still decode.
   */
  read(bytes: Buffer | null, from?: number, to?: number): Decoded
  /** Where the writers' schemas are elsewhere; absent: everything is known from the start. */
  readonly schemas?: FetchedSchemas
}

export interface FetchedSchemas {
  /** Waits out what may pass. @throws when the configuration has to change */
  check(signal: AbortSignal, logger: Logger): Promise<void>
  /** The schemas that these records name and nobody has fetched. Until then they count as unknown. */
  unheardOf(values: Iterable<Buffer | null>): number[]
  /** Resolves when the records of a schema can be read or refused; rejects only when `signal` aborts. */
  fetch(id: number, signal: AbortSignal, logger: Logger): Promise<void>
  /** Why records wait; undefined: they don't. */
  failing(): string | undefined
}

/** No record of any producer comes near it. */
export const maxRecordBytes = 16 * 1024
