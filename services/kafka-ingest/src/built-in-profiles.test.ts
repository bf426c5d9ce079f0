import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { maxRecordBytes } from './topic-profile.ts'

const profiles = { sensor: sensorProfile, 'sensor-v5': sensorV5Profile('Europe/Vienna'), anomaly: anomalyProfile }
const forms = ['sensor', 'sensor-v5', 'anomaly'] as const
type Form = (typeof forms)[number]
const decode = (form: Form, value: Buffer | null) => profiles[form].read(value)

const timestamp = Date.UTC(2026, 0, 2, 3, 4, 5)
const fields = { sensor_group: 'obd', sensor: 'pid_13_mode_1', uuid: 'v1', value: 'Speed: 12.3' }
const values: Record<Form, Buffer> = {
  sensor: encodeRecord.sensor({ timestamp, ...fields, src: 's' }),
  'sensor-v5': encodeRecord['sensor-v5']({ timestamp: '2026-01-02 03:04:05', ...fields }),
  anomaly: encodeRecord.anomaly({
    timestamp,
    detection_time: 'd',
    confirmation_time: 'c',
    sensor_group: 'obd',
    sensor: 'pid_5_mode_1',
    uuid: 'v1',
    anomaly_id: -3,
    rootCause: 'r',
    recommendation: 'x/y',
    src: 's',
  }),
}

test('the bytes of the old producer are read', () => {
  // Written by hand after the Avro specification: zigzag varints, then length and UTF-8.
  const bytes = Buffer.concat([
    Buffer.from([0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62]),
    ...['g', 'gps_coordinates', 'bus-7', 'GPS: [1.5,-2]', 'src'].map((text) =>
      Buffer.concat([Buffer.from([text.length * 2]), Buffer.from(text)]),
    ),
  ])
  expect(decode('sensor', bytes)).toEqual({
    ok: true,
    kind: 'sensor',
    ts: 1_700_000_000_000,
    sensor: 'gps_coordinates',
    vehicle: 'bus-7',
    value: '[1.5,-2]',
  })
})

describe('each form', () => {
  test.each(forms)('%s is read as such', (form) => {
    expect(decode(form, values[form])).toMatchObject({ ok: true, kind: profiles[form].kind, vehicle: 'v1' })
  })

  test.each([
    ['sensor', 'sensor-v5'],
    ['anomaly', 'sensor-v5'],
    ['sensor-v5', 'sensor'],
    ['sensor-v5', 'anomaly'],
  ] as const)('on a topic of %s a record of %s is the other producer’s', (form, other) => {
    expect(decode(form, values[other])).toEqual({ ok: false, reason: 'other_producer' })
  })
})

describe('other framings are refused by their first bytes', () => {
  const sensor = values.sensor
  test.each([
    ['confluent_framing', Buffer.concat([Buffer.from([0, 0, 0, 0, 7]), sensor])],
    ['single_object_framing', Buffer.concat([Buffer.from([0xc3, 1]), Buffer.alloc(8, 9), sensor])],
    ['json_text', Buffer.from('{"timestamp":1}')],
    ['malformed', Buffer.alloc(0)],
    ['malformed', sensor.subarray(0, -1)],
    ['malformed', Buffer.concat([sensor, Buffer.from([0])])],
    ['tombstone', null],
    ['oversized', Buffer.alloc(maxRecordBytes + 1, sensor)],
  ])('%s', (reason, value) => {
    expect(decode('sensor', value)).toEqual({ ok: false, reason })
  })

  test('whatever the schema id of a Confluent frame is, it is refused', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(...forms), (id, form) => {
        const frame = Buffer.alloc(5)
        frame.writeUInt32BE(id, 1)
        expect(decode(form, Buffer.concat([frame, values[form]]))).toMatchObject({ reason: 'confluent_framing' })
      }),
    )
  })

  test('no record of the right form is ever taken for another framing', () => {
    const anyRecord = fc.record({
      timestamp: fc.integer({ min: 946_684_800_000, max: 4_102_444_800_000 }),
      sensor_group: fc.string(),
      sensor: fc.string(),
      uuid: fc.string(),
      value: fc.string(),
      src: fc.string(),
    })
    fc.assert(
      fc.property(anyRecord, (record) => {
        const decoded = decode('sensor', encodeRecord.sensor(record))
        expect(decoded).toMatchObject({ ok: true })
      }),
    )
  })
})

test('bytes of any kind never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.constantFrom(...forms), (bytes, form) => {
      const { ok } = decode(form, Buffer.from(bytes))
      expect(typeof ok).toBe('boolean')
    }),
  )
})
