import { anomalyAvro, sensorAvro, sensorV5Avro } from '@flasktoria/contracts/records'
import avro from 'avsc'
import { assert, constantFrom, double, integer, property, tuple } from 'fast-check'
import { createHash } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { AvroBytes } from './encode-bytes.ts'
import { FleetEncoder, type EncoderOptions } from './encode-fleet.ts'
import { compileProfile } from './profile.ts'
import { anomalyStream, sensorStream, sensorV5Stream, type RecordBatch } from './simulator-batch.ts'
import { Fleet } from './simulator-fleet.ts'
import type { TopicProfile } from './topic-profile.ts'

vi.setConfig({ testTimeout: 30_000 })

const begin = Date.UTC(2026, 4, 1, 8)
const valuesOf = (batch: RecordBatch) => Array.from({ length: batch.count }, (_, record) => batch.value(record))

/** A fleet that lives so many seconds, in one batch. */
function encoded(options: EncoderOptions, seconds: number): RecordBatch {
  const fleet = new Fleet({ vehicles: options.vehicles, seed: 3 })
  const encoder = new FleetEncoder(options)
  while (fleet.elapsedMs < seconds * 1_000) {
    encoder.ts = begin + fleet.elapsedMs
    fleet.nextTurn(encoder)
  }
  return encoder.take()
}

test('what is written by hand is to the byte what avsc writes', () => {
  const types = [sensorAvro, sensorV5Avro, anomalyAvro].map((schema) => avro.Type.forSchema(schema))
  const batch = encoded({ vehicles: 30, producer: 'both' }, 120)
  const seen = new Set<number>()
  for (const [record, value] of valuesOf(batch).entries()) {
    const type = types[batch.stream(record)]!
    seen.add(batch.stream(record))
    expect(type.toBuffer(type.fromBuffer(value)).equals(value)).toBe(true)
  }
  expect(seen).toEqual(new Set([sensorStream, sensorV5Stream, anomalyStream]))
})

const whenever = integer({ min: Date.UTC(2000, 0, 1), max: 2 ** 42 })
const readings = tuple(
  whenever,
  double({ min: -1e9, max: 1e9, noNaN: true }),
  constantFrom(0, 1, 2),
  integer({ min: 0, max: 9_999 }),
)

test('the real decoders read what was encoded', () => {
  const zone = sensorV5Profile('UTC')
  const six = new FleetEncoder({ vehicles: 10_000 })
  const five = new FleetEncoder({ vehicles: 10_000, producer: 'sensor-v5' })
  assert(
    property(readings, ([ts, value, decimals, vehicle]) => {
      const only = (encoder: FleetEncoder, profile: TopicProfile) => {
        encoder.ts = ts
        encoder.reading(vehicle, 'pid_5_mode_1', value, decimals)
        return profile.read(encoder.take().value(0))
      }
      const said = { ok: true, vehicle: six.names[vehicle], sensor: 'pid_5_mode_1', ts }
      const read = only(six, sensorProfile) as { value: string }
      expect(read).toMatchObject(said)
      expect(Math.abs(Number(read.value) - value)).toBeLessThanOrEqual(0.5 / 10 ** decimals + Math.abs(value) * 1e-15)
      expect(read.value).toMatch(decimals === 0 ? /^-?\d+$/ : new RegExp(String.raw`^-?\d+\.\d{${decimals}}$`))
      const old = only(five, zone)
      expect(old).toMatchObject({ ...said, ts: ts - (ts % 1_000), value: read.value })
    }),
    { numRuns: 2_000 },
  )
})

test('numbers are written as toFixed does, halves aside', () => {
  const bytes = new AvroBytes(Buffer.alloc(64))
  const text = (value: number, decimals: number) => {
    bytes.at = 0
    bytes.decimal(value, decimals)
    return bytes.buffer.toString('latin1', 0, bytes.at)
  }
  for (const [value, decimals, expected] of [
    [0, 0, '0'],
    [-0.04, 1, '0.0'],
    [9.96, 1, '10.0'],
    [-3.7038, 6, '-3.703800'],
    [999_999_999.94, 1, '999999999.9'],
    [NaN, 1, 'NaN'],
  ] as const)
    expect(text(value, decimals)).toBe(expected)
  assert(
    property(integer({ min: -1e6, max: 1e6 }), constantFrom(0, 1, 2, 6), (millis, decimals) => {
      // Far from halves at any of these places.
      const value = millis / 1_000 + 0.000_000_1 * Math.sign(millis)
      expect(Number(text(value, decimals))).toBeCloseTo(Number(value.toFixed(decimals)), decimals)
    }),
  )
})

test('the envelopes are PNDA’s, and hold the same records', () => {
  const plain = valuesOf(encoded({ vehicles: 20, producer: 'both' }, 60))
  for (const [envelope, fields] of [
    ['source', 'source'],
    ['host-ip', 'src+host_ip'],
  ] as const) {
    const texts = fields.split('+').map((name) => ({ name, type: 'string' }))
    const schema = {
      type: 'record',
      name: 'event',
      fields: [{ name: 'timestamp', type: 'long' }, ...texts, { name: 'rawdata', type: 'bytes' }],
    } as const
    const type = avro.Type.forSchema(schema as unknown as avro.Schema)
    const batch = encoded({ vehicles: 20, producer: 'both', envelope }, 60)
    expect(valuesOf(batch).map((value) => type.fromBuffer(value).rawdata)).toEqual(plain)
    const common = { envelope: { form: 'pnda', fields } } as const
    const sensor = { ...common, name: 'sensor', kind: 'sensor', payload: { form: 'avro', schema: 'sensor' } } as const
    const profile = compileProfile(sensor, () => Buffer.alloc(0))
    const record = valuesOf(batch).findIndex((_, index) => batch.stream(index) === sensorStream)
    expect(profile.read(batch.value(record))).toEqual(sensorProfile.read(plain[record]!))
    expect(type.fromBuffer(batch.value(record)).timestamp).toBe(batch.time(record))
  }
})

test('anomalies are those of the catalogue, in words', () => {
  const encoder = new FleetEncoder({ vehicles: 3, producer: 'sensor-v5' })
  encoder.ts = begin
  encoder.anomaly(1, 'pid_5_mode_1', 4)
  const batch = encoder.take()
  expect(batch.stream(0)).toBe(anomalyStream)
  expect(anomalyProfile.read(batch.value(0))).toMatchObject({
    vehicle: 'van-002',
    sensor: 'pid_5_mode_1',
    ts: begin,
    anomalyId: 4,
    detectionTime: '2026-05-01 08:00:00',
    rootCause: 'The coolant is hotter than the engine may run',
  })
})

test('a fleet with a seed has one history, to the byte, on every machine', () => {
  const hash = createHash('sha256')
  const batch = encoded({ vehicles: 50, producer: 'both' }, 300)
  hash.update(batch.bytes.subarray(0, batch.size))
  // Changes when the fleet changes on purpose; must not change with the machine, or with Node.
  expect([batch.count, hash.digest('hex')]).toMatchInlineSnapshot(`
    [
      69416,
      "b5ce695cf08e010e99c6834b907b176afc2c0d2a42aad749b984adc919a71f92",
    ]
  `)
})
