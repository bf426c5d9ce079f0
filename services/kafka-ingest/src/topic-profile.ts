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
  | 'confluent_framing'
  | 'single_object_framing'
  | 'json_text'
  | 'other_producer'
  | 'malformed'

export type Undecoded = { ok: false; reason: DecodeFailure }
export type Decoded = SensorFields | FixFields | AnomalyFields | Undecoded

/** How the records of a topic are written, and what their fields mean: configuration, compiled once, never a guess. */
export type TopicProfile = {
  readonly name: string
  readonly kind: 'sensor' | 'anomaly'
  /** Never throws. What it lets through is well-formed, not yet sense: most records with flipped bits still decode. */
  read(value: Buffer | null): Decoded
}

/** No record of any producer comes near it. */
export const maxRecordBytes = 16 * 1024
