import { identifierPattern } from '@flasktoria/contracts/identifiers'
import * as fc from 'fast-check'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { anomalyProfile, sensorProfile, sensorV5Profile } from './built-in-profiles.ts'
import { encodeRecord } from './encode.ts'
import { createInterpreter, type Interpreted } from './interpret.ts'
import { readRecording } from './recording.ts'
import type { Fact } from './validate.ts'

const now = Date.UTC(2026, 5, 1)
const interpret = createInterpreter({
  earliestTs: Date.UTC(2000, 0, 1),
  maxAheadMs: 300_000,
})

type SensorFields = { timestamp?: number; sensor?: string; uuid?: string; value?: string }
const sensorValue = ({ timestamp = now, sensor = 'pid_13_mode_1', uuid = 'v1', value = 'Speed: 1' }: SensorFields) =>
  encodeRecord.sensor({ timestamp, sensor_group: 'g', sensor, uuid, value, src: 's' })
const read = (fields: SensorFields): Interpreted =>
  interpret({ profile: sensorProfile, value: sensorValue(fields) }, now)
const readAnomaly = (fields: { timestamp?: number; uuid?: string; sensor?: string; rootCause?: string }) => {
  const { timestamp = now, uuid = 'v1', sensor = 's1', rootCause = 'r' } = fields
  const texts = { detection_time: 'd', confirmation_time: 'c', recommendation: 'x', sensor_group: 'g', src: 's' }
  const value = encodeRecord.anomaly({ timestamp, uuid, sensor, rootCause, anomaly_id: 77, ...texts })
  return interpret({ profile: anomalyProfile, value }, now)
}

describe('a reading', () => {
  test.each([
    ['Speed: 12.30', 12.3, '12.30'],
    ['a: -4', -4, '-4'],
    [': +.5', 0.5, '+.5'],
    ['t: 1e-3', 0.001, '1e-3'],
    ['t:  7 ', 7, '7'],
  ])('%s is a number behind the first label', (value, number, text) => {
    expect(read({ value })).toMatchObject({ ok: true, fact: { kind: 'reading', value: number, text } })
  })

  test.each(['drive', 'D', 'Rückwärts', 'park (P)'])('the word %s is a reading without a number', (word) => {
    expect(read({ value: `Gear: ${word}` })).toMatchObject({ ok: true, fact: { value: null, text: word } })
  })

  test.each([
    ['no_label', '12.3'],
    ['no_label', 'Speed:12.3'],
    ['bad_value', 'Speed: '],
    ['bad_value', 'Engine: oil: 5'],
    ['bad_value', 'Speed: 12,3'],
    ['bad_value', 'Speed: 0x1f'],
    ['bad_value', 'Speed: <b>x</b>'],
    ['bad_value', `Speed: ${'x'.repeat(65)}`],
    ['bad_value', 'Gear: dr\u0001ve'],
    ['bad_value', 'Gear: dr\ufffdve'],
    ['not_finite', 'Speed: NaN'],
    ['not_finite', 'Speed: -Infinity'],
    ['not_finite', 'Speed: 1e999'],
    ['out_of_range', 'Speed: 2e9'],
  ])('%s: %s', (reason, value) => {
    expect(read({ value })).toEqual({ ok: false, reason })
  })

  test.each([
    ['bad_vehicle_id', { uuid: '' }],
    ['bad_vehicle_id', { uuid: 'v'.repeat(129) }],
    ['bad_vehicle_id', { uuid: 'v\n1' }],
    ['bad_vehicle_id', { uuid: 'v\ufffd' }],
    ['bad_sensor_id', { sensor: '' }],
    ['bad_sensor_id', { sensor: 'a\u0000' }],
    ['too_old', { timestamp: Date.UTC(1999, 11, 31) }],
    ['too_old', { timestamp: -(2 ** 52) }],
    ['in_future', { timestamp: now + 300_001 }],
  ])('%s: %o', (reason, fields) => {
    expect(read(fields)).toEqual({ ok: false, reason })
  })

  test('the ends of the time window belong to it', () => {
    expect(read({ timestamp: now + 300_000 }).ok).toBe(true)
    expect(read({ timestamp: Date.UTC(2000, 0, 1) }).ok).toBe(true)
  })
})

test('what the catalogue says that a sensor cannot show is refused', () => {
  const sensors = [
    { id: 'rpm', name: 'RPM', unit: 'rpm', min: 0, max: 16_384, high: 4_500 },
    { id: 'fuel', name: 'Fuel', unit: '%', max: 100 },
  ]
  const strict = createInterpreter({ earliestTs: 0, maxAheadMs: 0, sensors })
  const outcome = (sensor: string, value: string) => {
    const interpreted = strict({ profile: sensorProfile, value: sensorValue({ sensor, value: `l: ${value}` }) }, now)
    return interpreted.ok ? 'ok' : interpreted.reason
  }
  expect(['0', '16384', 'idle'].map((value) => outcome('rpm', value))).toEqual(['ok', 'ok', 'ok'])
  expect(['-1', '16385'].map((value) => outcome('rpm', value))).toEqual(['out_of_range', 'out_of_range'])
  expect(['-5', '101'].map((value) => outcome('fuel', value))).toEqual(['ok', 'out_of_range'])
  expect(outcome('other', '20000')).toBe('ok')
})

describe('a position', () => {
  const position = (value: string) => read({ sensor: 'gps_coordinates', value: `GPS: ${value}` })

  test.each([
    ['[48.2,16.37]', 48.2, 16.37],
    ['[ -90 , 180.0 ]', -90, 180],
    ['[0,16]', 0, 16],
  ])('%s', (value, lat, long) => {
    expect(position(value)).toMatchObject({ ok: true, fact: { kind: 'fix', lat, long } })
  })

  test.each([
    ['no_fix', '[0.000000,0.000000]'],
    ['no_fix', '[-0.00005,0.00009]'],
    ['out_of_range', '[33.9,1555.6]'],
    ['out_of_range', '[1555.6,33.9]'],
    ['not_finite', '[NaN,16]'],
    ['not_finite', '[48,inf]'],
    ['bad_position', '[48]'],
    ['bad_position', '48,16'],
    ['bad_position', '[48,16,3]'],
    ['bad_position', '[x,16]'],
    ['bad_position', 'somewhere'],
  ])('%s: %s', (reason, value) => {
    expect(position(value)).toEqual({ ok: false, reason })
  })
})

describe('an anomaly', () => {
  test('that nobody described is one all the same', () => {
    expect(readAnomaly({})).toEqual({
      ok: true,
      fact: {
        kind: 'anomaly',
        vehicle: 'v1',
        sensor: 's1',
        ts: now,
        anomalyId: 77,
        detectionTime: 'd',
        confirmationTime: 'c',
        rootCause: 'r',
        recommendation: 'x',
      },
    })
    expect(readAnomaly({ sensor: '' }).ok).toBe(true)
  })

  test.each([
    ['bad_vehicle_id', { uuid: '' }],
    ['bad_sensor_id', { sensor: '\t' }],
    ['bad_text', { rootCause: 'x'.repeat(5_000) }],
    ['bad_text', { rootCause: '\ufffd' }],
    ['in_future', { timestamp: now * 2 }],
  ])('%s: %o', (reason, fields) => {
    expect(readAnomaly(fields)).toEqual({ ok: false, reason })
  })
})

describe('the old producer', () => {
  const readOld = (timestamp: string) => {
    const fields = { sensor_group: 'g', sensor: 'pid_5_mode_1', uuid: 'v1', value: 'Coolant: 90' }
    return interpret(
      { profile: sensorV5Profile('Europe/Vienna'), value: encodeRecord['sensor-v5']({ timestamp, ...fields }) },
      now,
    )
  }

  test('its times are those of its zone', () => {
    expect(readOld('2026-01-15 12:00:00')).toMatchObject({ fact: { ts: Date.UTC(2026, 0, 15, 11) } })
    expect(readOld('2025-07-15 12:00:00')).toMatchObject({ fact: { ts: Date.UTC(2025, 6, 15, 10) } })
  })

  test('text that is no time is refused', () => {
    expect(readOld('2026-01-32 12:00:00')).toEqual({ ok: false, reason: 'bad_time' })
  })
})

const isInRange = (fact: Fact): boolean => {
  const isValue =
    fact.kind === 'fix'
      ? Math.abs(fact.lat) <= 90 && Math.abs(fact.long) <= 180
      : fact.kind === 'anomaly' || fact.value === null || Number.isFinite(fact.value)
  const isTime = fact.ts >= Date.UTC(2000, 0, 1) && fact.ts <= now + 300_000
  return isValue && isTime && identifierPattern.test(fact.vehicle)
}

test('flipped bits never throw: what still decodes is in range, or has a reason', () => {
  const value = sensorValue({ sensor: 'gps_coordinates', value: 'GPS: [48.208,16.373]' })
  const flips = fc.array(fc.nat(value.length * 8 - 1), { minLength: 1, maxLength: 3 })
  const reasons = new Set<string>()
  fc.assert(
    fc.property(flips, (bits) => {
      const flipped = Buffer.from(value)
      for (const bit of bits) flipped[bit >> 3]! ^= 1 << (bit & 7)
      const interpreted = interpret({ profile: sensorProfile, value: flipped }, now)
      if (!interpreted.ok) return void reasons.add(interpreted.reason)
      expect(interpreted.fact).toSatisfy(isInRange)
      return undefined
    }),
    { numRuns: 5_000 },
  )
  expect([...reasons]).toEqual(expect.arrayContaining(['malformed', 'in_future', 'no_label', 'bad_position']))
})

const recordings = process.env['RECORDINGS_DIR']

test.skipIf(!recordings)(
  'the real recording says what its file says; its dirt has reasons (RECORDINGS_DIR)',
  { timeout: 30_000 },
  async () => {
    const reasons: Record<string, number> = {}
    let rows = 0
    for await (const row of readRecording(join(recordings!, 'real_dev_open.csv.gz'))) {
      if ('problem' in row) throw new Error(`line ${row.line}: ${row.problem}`)
      rows += 1
      const { vehicle, ts, sensor, value } = row
      const interpreted = interpret(
        {
          profile: sensorProfile,
          value: sensorValue({ timestamp: ts, sensor, uuid: vehicle, value: `label: ${value}` }),
        },
        now,
      )
      if (!interpreted.ok) {
        reasons[interpreted.reason] = (reasons[interpreted.reason] ?? 0) + 1
        continue
      }
      const { fact } = interpreted
      const said = fact.kind === 'fix' ? [fact.lat, fact.long] : fact.kind === 'reading' ? fact.value : fact
      if (fact.ts !== ts || fact.vehicle !== vehicle || JSON.stringify(said) !== JSON.stringify(JSON.parse(value)))
        throw new Error(`line ${row.line} says ${value}, not ${JSON.stringify(fact)}`)
    }
    expect(rows).toBe(212_965)
    expect(Object.keys(reasons).toSorted()).toEqual(['no_fix', 'out_of_range'])
  },
)
