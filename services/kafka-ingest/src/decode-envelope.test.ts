import avro from 'avsc'
import { describe, expect, test } from 'vitest'
import { encodeRecord, wrapRecord } from './encode.ts'
import { profileFor } from './test-forms.ts'

const at = 1_700_000_000_000
const bare = encodeRecord.sensor({
  timestamp: at,
  sensor_group: 'obd',
  sensor: 's',
  uuid: 'bus-7',
  value: 'Speed: 61.5',
  src: 's',
})
const payload = { form: 'avro', schema: 'sensor' }
const reading = { ok: true, kind: 'sensor', vehicle: 'bus-7', sensor: 's', ts: at, value: '61.5' }

type Field = [name: string, type: string | object]
const schemaOf = (...fields: Field[]) =>
  JSON.stringify({ type: 'record', name: 'event', fields: fields.map(([name, type]) => ({ name, type })) })
const later = schemaOf(
  ['timestamp', 'long'],
  ['source', 'string'],
  ['rawdata', 'bytes'],
  ['tags', { type: 'map', values: 'string' }],
  ['priority', 'int'],
)
const written = avro.Type.forSchema(JSON.parse(later)).toBuffer({
  timestamp: at,
  source: 'depot-a',
  rawdata: bare,
  tags: { a: 'b' },
  priority: 3,
})

describe('a later version, with fields appended', () => {
  test('is read by who knows only the first fields', () => {
    const profile = profileFor({ envelope: { form: 'pnda', fields: 'source' }, payload })
    expect(profile.read(written)).toEqual(reading)
  })

  const strict = profileFor({ envelope: { form: 'pnda', fields: 'source', schemaFile: 'later' }, payload }, () =>
    Buffer.from(later),
  )
  test('is read to its end by who has its schema', () => {
    expect(strict.read(written)).toEqual(reading)
    expect(strict.read(Buffer.concat([written, Buffer.from([0])]))).toEqual({ ok: false, reason: 'malformed' })
    expect(strict.read(written.subarray(0, -1))).toEqual({ ok: false, reason: 'malformed' })
    expect(strict.read(wrapRecord.envelopeSource(bare, at, 's'))).toEqual({ ok: false, reason: 'malformed' })
  })
})

test.each([
  ['source', wrapRecord.envelopeHostIp(bare, at, 'depot-a', '10.0.0.1')],
  ['src+host_ip', wrapRecord.envelopeSource(bare, at, 'depot-a')],
  ['source', bare],
  ['src+host_ip', bare],
  ['source', wrapRecord.envelopeSource(wrapRecord.envelopeSource(bare, at, 's'), at, 's')],
] as const)('with %s configured, another envelope, none, or two are refused', (fields, value) => {
  expect(profileFor({ envelope: { form: 'pnda', fields }, payload }).read(value)).toMatchObject({ ok: false })
})

test.each([
  ['confluent_framing', wrapRecord.confluent(bare, 7)],
  ['json_text', Buffer.from('{"timestamp":1}')],
  ['single_object_framing', Buffer.concat([Buffer.from([0xc3, 1]), bare])],
])('a value without an envelope is refused by its first bytes: %s', (reason, value) => {
  const profile = profileFor({ envelope: { form: 'pnda', fields: 'source' }, payload })
  expect(profile.read(value)).toEqual({ ok: false, reason })
  expect(profile.read(wrapRecord.envelopeSource(value, at, 's'))).toEqual({ ok: false, reason })
})

test.each([
  [schemaOf(['timestamp', 'long'], ['rawdata', 'bytes']), "the envelope's schema has no field source"],
  [schemaOf(['source', 'string'], ['rawdata', 'string']), "the envelope's schema has no field rawdata of bytes"],
  ['"bytes"', 'the Avro schema is a bytes, not a record'],
])('%s is no envelope', (schema, sentence) => {
  const envelope = { form: 'pnda', fields: 'source', schemaFile: 'envelope.avsc' }
  expect(() => profileFor({ envelope, payload }, () => Buffer.from(schema))).toThrow(sentence)
})
