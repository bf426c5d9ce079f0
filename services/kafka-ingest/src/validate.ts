import { identifierPattern } from '@flasktoria/contracts/identifiers'
import { decimalNumber } from '@flasktoria/contracts/labelled-value'
import { positionSensor } from '@flasktoria/contracts/records'
import { plainDecimal } from './decimal.ts'
import type { AnomalyFields, FixFields, SensorFields } from './topic-profile.ts'

/** A sensor's reading: a number, or a word such as a gear. */
export type Reading = {
  kind: 'reading'
  vehicle: string
  sensor: string
  ts: number
  /** Null: a word. */
  value: number | null
  /** What stood behind the label, as it came. */
  text: string
}
export type Fix = { kind: 'fix'; vehicle: string; ts: number; lat: number; long: number; text: string }
export type Anomaly = Omit<AnomalyFields, 'ok'>
export type Fact = Reading | Fix | Anomaly

export type Refusal =
  | 'bad_time'
  | 'too_old'
  | 'in_future'
  | 'bad_vehicle_id'
  | 'bad_sensor_id'
  | 'no_label'
  | 'bad_value'
  | 'not_finite'
  | 'out_of_range'
  | 'bad_position'
  | 'no_fix'
  | 'teleport'
  | 'bad_text'

export type Validated<T extends Fact> = { ok: true; fact: T } | { ok: false; reason: Refusal }

/** Times outside of it are refused, epoch ms. */
export type TimeWindow = { from: number; to: number }

/** No sensor of a vehicle shows more; what does, is a decoding error. */
const maxMagnitude = 1e9
const maxValueLength = 64
/** Ids that are longer than this in code units may still be short enough in characters. */
const maxIdLength = 128
const maxTextLength = 4_096

/** Around 0,0, in degrees: no vehicle drives in the Gulf of Guinea. */
const nullIsland = 1e-4

const notFinitePattern = /^[+-]?(?:nan|inf|infinity)$/i
const wordPattern = /^\p{L}[\p{L}\p{M}\p{N}\p{Zs}_./()+-]*$/u
const positionPattern = /^\[\s*([^\s,[\]]+)\s*,\s*([^\s,[\]]+)\s*\]$/

const refuse = (reason: Refusal): { ok: false; reason: Refusal } => ({ ok: false, reason })

export function validateSensor(record: SensorFields, window: TimeWindow): Validated<Reading | Fix> {
  const { vehicle, sensor, ts, value } = record
  const reason = timeRefusal(ts, window)
  if (reason) return refuse(reason)
  if (!isId(vehicle)) return refuse('bad_vehicle_id')
  if (!isId(sensor)) return refuse('bad_sensor_id')
  if (value === undefined) return refuse('no_label')
  if (typeof value === 'number') return numberOf(vehicle, sensor, ts, value)
  const text = value.trim()
  if (text.length > maxValueLength) return refuse('bad_value')
  return sensor === positionSensor ? fixOf(vehicle, ts, text) : readingOf(vehicle, sensor, ts, text)
}

export function validateFix({ vehicle, ts, lat, long }: FixFields, window: TimeWindow): Validated<Fix> {
  const reason = timeRefusal(ts, window)
  if (reason) return refuse(reason)
  if (!isId(vehicle)) return refuse('bad_vehicle_id')
  return placeOf(vehicle, ts, lat, long, `[${lat},${long}]`)
}

/** Ids outside the catalogue pass: an anomaly that nobody described is still one. */
export function validateAnomaly(record: AnomalyFields, window: TimeWindow): Validated<Anomaly> {
  const { ok: _, ...fact } = record
  const { vehicle, sensor, ts, detectionTime, confirmationTime, rootCause, recommendation } = fact
  const reason = timeRefusal(ts, window)
  if (reason) return refuse(reason)
  if (!isId(vehicle)) return refuse('bad_vehicle_id')
  if (sensor !== '' && !isId(sensor)) return refuse('bad_sensor_id')
  for (const text of [detectionTime, confirmationTime, rootCause, recommendation])
    if (text.length > maxTextLength || text.includes('\ufffd')) return refuse('bad_text')
  return { ok: true, fact }
}

function timeRefusal(ts: number, { from, to }: TimeWindow): Refusal | undefined {
  if (Number.isNaN(ts)) return 'bad_time'
  if (ts < from) return 'too_old'
  if (ts > to) return 'in_future'
  return undefined
}

/** The same few ids come all the time. */
const soundIds = new Set<string>()
const maxSoundIds = 200_000

function isId(id: string): boolean {
  if (soundIds.has(id)) return true
  if (!isSound(id)) return false
  if (soundIds.size === maxSoundIds) soundIds.clear()
  soundIds.add(id)
  return true
}

/** A replacement character stands for bytes that were no UTF-8: such an id names nobody. */
function isSound(id: string): boolean {
  if (id.length === 0 || id.length > maxIdLength) return identifierPattern.test(id) && !id.includes('\ufffd')
  for (let index = 0; index < id.length; index++) {
    const code = id.charCodeAt(index)
    if (code < 0x20 || code === 0x7f || code === 0xfffd) return false
  }
  return true
}

function fixOf(vehicle: string, ts: number, text: string): Validated<Fix> {
  const comma = text.indexOf(',')
  if (text.startsWith('[') && text.endsWith(']') && comma > 0) {
    const lat = plainDecimal(text, 1, comma)
    const long = plainDecimal(text, comma + 1, text.length - 1)
    if (!Number.isNaN(lat) && !Number.isNaN(long)) return placeOf(vehicle, ts, lat, long, text)
  }
  const parts = positionPattern.exec(text)
  if (!parts) return refuse('bad_position')
  const [, latText = '', longText = ''] = parts
  if (notFinitePattern.test(latText) || notFinitePattern.test(longText)) return refuse('not_finite')
  const lat = decimalNumber(latText)
  const long = decimalNumber(longText)
  if (lat === undefined || long === undefined) return refuse('bad_position')
  return placeOf(vehicle, ts, lat, long, text)
}

function placeOf(vehicle: string, ts: number, lat: number, long: number, text: string): Validated<Fix> {
  if (!Number.isFinite(lat) || !Number.isFinite(long)) return refuse('not_finite')
  if (Math.abs(lat) > 90 || Math.abs(long) > 180) return refuse('out_of_range')
  // What a receiver says that has no satellites yet.
  if (Math.abs(lat) < nullIsland && Math.abs(long) < nullIsland) return refuse('no_fix')
  return { ok: true, fact: { kind: 'fix', vehicle, ts, lat, long, text } }
}

function numberOf(vehicle: string, sensor: string, ts: number, value: number): Validated<Reading> {
  if (sensor === positionSensor) return refuse('bad_position')
  if (!Number.isFinite(value)) return refuse('not_finite')
  if (Math.abs(value) > maxMagnitude) return refuse('out_of_range')
  return { ok: true, fact: { kind: 'reading', vehicle, sensor, ts, value, text: String(value) } }
}

function readingOf(vehicle: string, sensor: string, ts: number, text: string): Validated<Reading> {
  const plain = plainDecimal(text, 0, text.length)
  const value = Number.isNaN(plain) ? decimalNumber(text) : plain
  if (value !== undefined)
    return Math.abs(value) > maxMagnitude
      ? refuse('out_of_range')
      : { ok: true, fact: { kind: 'reading', vehicle, sensor, ts, value, text } }
  if (notFinitePattern.test(text) || Math.abs(Number(text)) === Infinity) return refuse('not_finite')
  if (!wordPattern.test(text)) return refuse('bad_value')
  return { ok: true, fact: { kind: 'reading', vehicle, sensor, ts, value: null, text } }
}
