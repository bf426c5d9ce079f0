import {
  anomalyAvro,
  sensorAvro,
  sensorV5Avro,
  type AnomalyRecord,
  type SensorRecord,
  type SensorV5Record,
} from '@flasktoria/contracts/records'
import avro from 'avsc'

/** How the values of a topic are written. All three are bare Avro binary, without any framing. */
export const forms = ['sensor', 'sensor-v5', 'anomaly'] as const
export type Form = (typeof forms)[number]

export type DecodeFailure =
  | 'tombstone'
  | 'oversized'
  | 'confluent_framing'
  | 'single_object_framing'
  | 'json_text'
  | 'other_producer'
  | 'malformed'

export type SensorFields = Omit<SensorRecord, 'sensor_group' | 'src'>
export type SensorV5Fields = Omit<SensorV5Record, 'sensor_group'>
export type AnomalyFields = Omit<AnomalyRecord, 'sensor_group' | 'src'>

export type Decoded =
  | { ok: true; form: 'sensor'; record: SensorFields }
  | { ok: true; form: 'sensor-v5'; record: SensorV5Fields }
  | { ok: true; form: 'anomaly'; record: AnomalyFields }
  | { ok: false; reason: DecodeFailure }

/** No record of either producer comes near it. */
export const maxRecordBytes = 16 * 1024

/** Reads only the fields that we use: a third faster than reading all. */
function reader(schema: typeof sensorAvro, ...unused: string[]) {
  const writer = avro.Type.forSchema(schema)
  const own = avro.Type.forSchema({ ...schema, fields: schema.fields.filter(({ name }) => !unused.includes(name)) })
  const resolver = own.createResolver(writer)
  return (value: Buffer) => own.fromBuffer(value, resolver)
}

const readSensor = reader(sensorAvro, 'sensor_group', 'src')
const readSensorV5 = reader(sensorV5Avro, 'sensor_group')
const readAnomaly = reader(anomalyAvro, 'sensor_group', 'src')

const readers: { [F in Form]: (value: Buffer) => Decoded } = {
  sensor: (value) => ({ ok: true, form: 'sensor', record: readSensor(value) }),
  'sensor-v5': (value) => ({ ok: true, form: 'sensor-v5', record: readSensorV5(value) }),
  anomaly: (value) => ({ ok: true, form: 'anomaly', record: readAnomaly(value) }),
}

/** Never throws. What it lets through is Avro, not yet sense: most records with flipped bits still decode. */
export function decode(form: Form, value: Buffer | null): Decoded {
  if (value === null) return { ok: false, reason: 'tombstone' }
  if (value.length > maxRecordBytes) return { ok: false, reason: 'oversized' }
  const otherForm = guard(form, value)
  if (otherForm) return { ok: false, reason: otherForm }
  try {
    return readers[form](value)
  } catch {
    return { ok: false, reason: 'malformed' }
  }
}

/**
 * Refuses values that are plainly written in another form than their topic's; some of them would decode all the same. No
 * record of the right form is refused: a time in milliseconds is a varint of several bytes, so its first byte has the high
 * bit set and its second is no end; a time as text begins with its length, 19.
 */
function guard(form: Form, value: Buffer): DecodeFailure | undefined {
  const first = value[0]
  if (first === undefined) return 'malformed'
  if (first === 0x00 && value.length > 5) return 'confluent_framing'
  if (first === 0xc3 && value[1] === 0x01) return 'single_object_framing'
  if (first === 0x7b) return 'json_text'
  const hasTextTime = first === textTimeLength
  const hasLongTime = first >= 0x80
  if (form === 'sensor-v5' ? hasLongTime : hasTextTime) return 'other_producer'
  return undefined
}

/** `yyyy-MM-dd HH:mm:ss` is 19 characters; Avro writes lengths zigzag. */
const textTimeLength = 19 << 1
