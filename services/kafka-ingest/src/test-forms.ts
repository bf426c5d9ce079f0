import { join } from 'node:path'
import avro from 'avsc'
import { readFileSync } from 'node:fs'
import { encodeRecord, wrapRecord } from './encode.ts'
import { topicsFileSchema } from './profile-spec.ts'
import { compileProfile } from './profile.ts'
import type { TopicProfile } from './topic-profile.ts'

export const examples = join(import.meta.dirname, '..', 'examples')

/** Compiles a profile as TOPICS_FILE would say it, but for its name and topics. */
export function profileFor(
  spec: object,
  readFile = (path: string) => readFileSync(join(examples, path)),
): TopicProfile {
  const [parsed] = topicsFileSchema.parse([{ name: 'test', topics: ['test'], kind: 'sensor', ...spec }])
  return compileProfile(parsed!, readFile)
}

const busFields = {
  vehicle: { field: 'bus.id' },
  sensor: { field: 'kind' },
  time: { field: 'at' },
  value: { field: 'value', as: 'number' },
}
const truckFields = { ...busFields, vehicle: { field: 'vehicle.id' }, time: { field: 'at_ms' } }
const carFields = {
  vehicle: { field: 'car.plate' },
  sensor: { field: 'signal' },
  time: { field: 't', as: 'seconds' },
  value: { field: 'v', as: 'number' },
  position: { sensor: 'gps', lat: 'lat', long: 'lon' },
}
const schemaFile = 'bus.avsc'

export const busType = avro.Type.forSchema(JSON.parse(readFileSync(join(examples, schemaFile), 'utf8')))
const bus = (at: number, value: number | null) => ({
  meta: { a: 'b' },
  bus: { id: 'bus-7', line: 42 },
  kind: 'fuel',
  at,
  tags: ['x', null],
  previous: { id: 'bus-6', line: null },
  value,
})

/** Written by protoc's own Python: vehicle bus-7, fuel 61.5 at 1,700,000,000,000, and every field that we do not read. */
export const truckBytes = Buffer.from(
  '0a0d0a056275732d3712016112016210021880d095ffbc31210000000000c04e40299a999999991948403166666666666630c03a060a016b12017642' +
    '040102ac0248095100000000000100005df9ffffff60fdffffffffffffffff01',
  'hex',
)

const at = 1_700_000_000_000
const bare = encodeRecord.sensor({
  timestamp: at,
  sensor_group: 'obd',
  sensor: 'pid_13_mode_1',
  uuid: 'bus-7',
  value: 'Speed: 61.5',
  src: 's',
})
const old = encodeRecord['sensor-v5']({
  timestamp: '2023-11-14 22:13:20',
  sensor_group: 'obd',
  sensor: 'pid_13_mode_1',
  uuid: 'bus-7',
  value: 'Speed: 61.5',
})
const anomaly = encodeRecord.anomaly({
  timestamp: at,
  detection_time: 'd',
  confirmation_time: 'c',
  sensor_group: 'obd',
  sensor: 'pid_5_mode_1',
  uuid: 'bus-7',
  anomaly_id: 3,
  rootCause: 'r',
  recommendation: 'x',
  src: 's',
})
const busBytes = busType.toBuffer(bus(at, 61.5))
/** Of bus.avsc, as fastavro computes it. */
export const busFingerprint = Buffer.from('31e49a12d3b17666', 'hex')
const single = Buffer.concat([Buffer.from([0xc3, 1]), busFingerprint, busBytes])
const car = Buffer.from(JSON.stringify({ car: { plate: 'bus-7' }, signal: 'fuel', t: at / 1_000, v: 61.5 }))
const carPosition = Buffer.from(
  JSON.stringify({ car: { plate: 'bus-7' }, signal: 'gps', t: at / 1_000, lat: 48.2, lon: 16.4 }),
)

/** Every decoder and every kind of mapping, each with a record that it reads: of bus-7, at `at`. */
export const forms: Record<string, { profile: TopicProfile; value: Buffer; isSelfDelimiting?: boolean }> = {
  bare: { profile: profileFor({ payload: { form: 'avro', schema: 'sensor' } }), value: bare },
  old: {
    profile: profileFor({
      payload: { form: 'avro', schema: 'sensor-v5' },
      fields: {
        sensor: { field: 'sensor' },
        time: { field: 'timestamp', as: 'text' },
        value: { field: 'value', as: 'labelled' },
      },
    }),
    value: old,
  },
  anomaly: { profile: profileFor({ kind: 'anomaly', payload: { form: 'avro', schema: 'anomaly' } }), value: anomaly },
  schemaFile: { profile: profileFor({ payload: { form: 'avro', schemaFile }, fields: busFields }), value: busBytes },
  envelopeSource: {
    profile: profileFor({
      envelope: { form: 'pnda', fields: 'source' },
      payload: { form: 'avro', schema: 'sensor' },
    }),
    value: wrapRecord.envelopeSource(bare, at, 'depot-a'),
    isSelfDelimiting: true,
  },
  envelopeHostIp: {
    profile: profileFor({
      envelope: { form: 'pnda', fields: 'src+host_ip' },
      payload: { form: 'avro', schemaFile },
      fields: busFields,
    }),
    value: wrapRecord.envelopeHostIp(busBytes, at, 'depot-a', '10.0.0.1'),
    isSelfDelimiting: true,
  },
  confluent: {
    profile: profileFor({ payload: { form: 'confluent', schemaFiles: { 7: schemaFile } }, fields: busFields }),
    value: wrapRecord.confluent(busBytes, 7),
  },
  singleObject: {
    profile: profileFor({ payload: { form: 'single-object', schemaFiles: [schemaFile] }, fields: busFields }),
    value: single,
  },
  json: { profile: profileFor({ payload: { form: 'json' }, fields: carFields }), value: car },
  jsonPosition: { profile: profileFor({ payload: { form: 'json' }, fields: carFields }), value: carPosition },
  protobuf: {
    profile: profileFor({
      payload: { form: 'protobuf', descriptorFile: 'fleet.desc', message: 'fleet.Reading' },
      fields: truckFields,
    }),
    value: truckBytes,
    isSelfDelimiting: true,
  },
}
