import { textAfterLabel } from '@flasktoria/contracts/labelled-value'
import { positionSensor } from '@flasktoria/contracts/records'
import { ProfileError, type FieldType, type Payload, type Wanted } from './decode.ts'
import type { AnomalyFieldsSpec, SensorFieldsSpec, SourceSpec, TimeSpec } from './profile-spec.ts'
import { textTime } from './profile-time.ts'
import type { Decoded, Undecoded } from './topic-profile.ts'

/** What the slots of a record mean. */
export type Mapping = {
  wanted: readonly (Wanted & { name: string; accepts: readonly FieldType[] })[]
  /** Slots of constants are filled in; a reader fills the others. */
  slots: unknown[]
  /** Which field is the time, and how it is written: guards look at the first bytes with it. */
  time: { path: readonly string[]; isText: boolean }
  map: (slots: readonly unknown[]) => Decoded
}

const slot = { vehicle: 0, sensor: 1, time: 2, value: 3, position: 4, lat: 5, long: 6 } as const
const anomalySlot = {
  vehicle: 0,
  sensor: 1,
  time: 2,
  id: 3,
  detection: 4,
  confirmation: 5,
  cause: 6,
  advice: 7,
} as const

const ids: readonly FieldType[] = ['text', 'integer']
const texts: readonly FieldType[] = ['text']
const numbers: readonly FieldType[] = ['integer', 'decimal']
const integers: readonly FieldType[] = ['integer']

const missing: Undecoded = { ok: false, reason: 'missing_field' }
const wrongType: Undecoded = { ok: false, reason: 'wrong_type' }
/** Null is how a schema says that a field is not there. */
const absence = (value: unknown): Undecoded => (value === undefined || value === null ? missing : wrongType)

class Slots {
  readonly wanted: Mapping['wanted'][number][] = []
  readonly values: unknown[]

  constructor(count: number) {
    this.values = Array.from<unknown>({ length: count })
  }

  field(name: string, path: readonly string[] | undefined, at: number, accepts: readonly FieldType[]): void {
    const recurs = name === 'vehicle' || name === 'sensor'
    if (path) this.wanted.push({ name, path, slot: at, accepts, recurs })
  }

  source(name: string, spec: SourceSpec | undefined, at: number): void {
    this.field(name, spec?.field, at, ids)
    if (spec?.constant !== undefined) this.values[at] = spec.constant
  }
}

/** An id or a text; whole numbers are ids, too. Undefined: neither. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return Number.isSafeInteger(value) ? String(value) : undefined
}

/** Epoch ms, NaN where a text is no time; undefined: of another type. */
function timeReader({ as, zone = 'UTC' }: TimeSpec): (value: unknown) => number | undefined {
  if (as === 'text') {
    const parse = textTime(zone)
    return (value) => (typeof value === 'string' ? parse(value) : undefined)
  }
  if (as === 'seconds') return (value) => (typeof value === 'number' ? Math.round(value * 1_000) : undefined)
  return (value) => (typeof value === 'number' ? Math.round(value) : undefined)
}

const textReader = (as: 'labelled' | 'text' | 'number' | undefined) =>
  as === 'text' ? (text: string) => text : textAfterLabel

export function sensorMapping(spec: SensorFieldsSpec): Mapping {
  const { value, position } = spec
  const slots = new Slots(7)
  slots.source('vehicle', spec.vehicle, slot.vehicle)
  slots.source('sensor', spec.sensor, slot.sensor)
  slots.field('time', spec.time.field, slot.time, spec.time.as === 'text' ? texts : numbers)
  slots.field('value', value?.field, slot.value, value?.as === 'number' ? numbers : texts)
  slots.field('position', position?.field, slot.position, texts)
  slots.field('position.lat', position?.lat, slot.lat, numbers)
  slots.field('position.long', position?.long, slot.long, numbers)
  if (!value) slots.values[slot.sensor] = positionSensor

  const timeOf = timeReader(spec.time)
  const [valueText, positionText] = [textReader(value?.as), textReader(position?.as)]
  const isNumber = value?.as === 'number'
  const mark = position && (position.sensor ?? positionSensor)
  const hasTwoFields = position?.lat !== undefined

  return {
    wanted: slots.wanted,
    slots: slots.values,
    time: { path: spec.time.field, isText: spec.time.as === 'text' },
    map: (found) => {
      const vehicle = textOf(found[slot.vehicle])
      if (vehicle === undefined) return absence(found[slot.vehicle])
      const sensor = textOf(found[slot.sensor])
      if (sensor === undefined) return absence(found[slot.sensor])
      const ts = timeOf(found[slot.time])
      if (ts === undefined) return absence(found[slot.time])
      const isPosition = mark !== undefined && (sensor === mark || !value)
      if (isPosition && hasTwoFields) {
        const lat = found[slot.lat]
        const long = found[slot.long]
        if (typeof lat !== 'number') return absence(lat)
        if (typeof long !== 'number') return absence(long)
        return { ok: true, kind: 'fix', vehicle, ts, lat, long }
      }
      const said = isPosition ? found[slot.position] : found[slot.value]
      if (isNumber && !isPosition)
        return typeof said === 'number' ? { ok: true, kind: 'sensor', vehicle, sensor, ts, value: said } : absence(said)
      if (typeof said !== 'string') return absence(said)
      return isPosition
        ? { ok: true, kind: 'sensor', vehicle, sensor: positionSensor, ts, value: positionText(said) }
        : { ok: true, kind: 'sensor', vehicle, sensor, ts, value: valueText(said) }
    },
  }
}

export function anomalyMapping(spec: AnomalyFieldsSpec): Mapping {
  const at = anomalySlot
  const slots = new Slots(8)
  slots.source('vehicle', spec.vehicle, at.vehicle)
  slots.source('sensor', spec.sensor, at.sensor)
  slots.field('time', spec.time.field, at.time, spec.time.as === 'text' ? texts : numbers)
  slots.field('anomalyId', spec.anomalyId.field, at.id, integers)
  slots.source('detectionTime', spec.detectionTime, at.detection)
  slots.source('confirmationTime', spec.confirmationTime, at.confirmation)
  slots.source('rootCause', spec.rootCause, at.cause)
  slots.source('recommendation', spec.recommendation, at.advice)
  const timeOf = timeReader(spec.time)
  const textSlots = [at.sensor, at.detection, at.confirmation, at.cause, at.advice]

  return {
    wanted: slots.wanted,
    slots: slots.values,
    time: { path: spec.time.field, isText: spec.time.as === 'text' },
    map: (found) => {
      const vehicle = textOf(found[at.vehicle])
      if (vehicle === undefined) return absence(found[at.vehicle])
      const ts = timeOf(found[at.time])
      if (ts === undefined) return absence(found[at.time])
      const anomalyId = found[at.id]
      if (typeof anomalyId !== 'number' || !Number.isSafeInteger(anomalyId)) return absence(anomalyId)
      const untold = textSlots.find((one) => textOf(found[one]) === undefined)
      if (untold !== undefined) return absence(found[untold])
      const text = (one: number) => textOf(found[one])!
      return {
        ok: true,
        kind: 'anomaly',
        vehicle,
        sensor: text(at.sensor),
        ts,
        anomalyId,
        detectionTime: text(at.detection),
        confirmationTime: text(at.confirmation),
        rootCause: text(at.cause),
        recommendation: text(at.advice),
      }
    },
  }
}

/** Holds a mapping against a schema. @throws ProfileError naming the field, what it is and what it should be */
export function checkMapping({ wanted }: Mapping, payload: Payload): void {
  for (const { name, path, accepts } of wanted) {
    const type = payload.typeOf(path)
    if (type === 'any' || accepts.includes(type)) continue
    const advice = type === 'fine time' ? ' (micro- or nanoseconds, where milliseconds are wanted)' : ''
    throw new ProfileError(`fields.${name}: ${path.join('.')} is of type ${type}${advice}, not ${accepts.join(' or ')}`)
  }
}
