import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { updateSchema } from '@flasktoria/contracts/updates'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { sensorProfile } from './built-in-profiles.ts'
import type { RawRecord } from './record-source.ts'
import { createTransform } from './transform.ts'
import type { Anomaly, Fix, Reading } from './validate.ts'

const transform = createTransform({ sensors: defaultSensors, anomalies: defaultAnomalies })
const raw: RawRecord = {
  topic: 't',
  profile: sensorProfile,
  partition: 2,
  offset: 7,
  value: Buffer.from('x'),
  timestamp: 0,
}
const reading = { kind: 'reading', vehicle: 'v"1', sensor: 'pid_5_mode_1', ts: 5, value: 20.5, text: '20.50' } as const
const anomaly: Anomaly = {
  kind: 'anomaly',
  vehicle: 'v1',
  sensor: 'pid_5_mode_1',
  ts: 5,
  anomalyId: 4,
  detectionTime: 'then',
  confirmationTime: 'later',
  rootCause: 'r',
  recommendation: 'x',
}

test('a reading becomes sensordata, with the status that its range says', () => {
  const { json, statusJson, ...draft } = transform.readings(reading, [5], [20.5])
  expect(draft).toEqual({ kind: 'sensordata', vehicle: 'v"1', sensor: 'pid_5_mode_1', eventTs: 5 })
  expect(JSON.parse(json)).toEqual({
    update_type: 'sensordata',
    vehicle_id: 'v"1',
    sensor_id: 'pid_5_mode_1',
    values: [{ timestamp: 5, value: 20.5 }],
    value: '20.50',
    timestamp: 5,
  })
  expect(JSON.parse(statusJson!)).toEqual({
    update_type: 'sensorstatus',
    vehicle_id: 'v"1',
    sensor_id: 'pid_5_mode_1',
    value: 'low',
  })
})

test('near a limit, the status that stays is said, too', () => {
  const { statusJson, heldStatusJson } = transform.readings({ ...reading, value: 60.5 }, [5], [60.5])
  expect([statusJson, heldStatusJson].map((json) => JSON.parse(json!).value)).toEqual(['ok', 'low'])
})

test('a word has no values and no status', () => {
  const draft = transform.readings({ ...reading, value: null, text: 'drive' }, [], [])
  expect(JSON.parse(draft.json)).toMatchObject({ values: [], value: 'drive' })
  expect(draft).not.toHaveProperty('statusJson')
})

test('a sensor without a range has no status', () => {
  expect(transform.readings({ ...reading, sensor: 'pid_91_mode_1' }, [5], [20.5])).not.toHaveProperty('statusJson')
})

test('a fix becomes a position and nothing else', () => {
  const draft = transform.fix({ kind: 'fix', vehicle: 'v1', ts: 5, lat: -0.5, long: 1e-7, text: '' })
  expect(draft).toMatchObject({ kind: 'position', sensor: '', eventTs: 5 })
  expect(JSON.parse(draft.json)).toEqual({
    update_type: 'position',
    vehicle_id: 'v1',
    lat: -0.5,
    long: 1e-7,
    timestamp: 5,
  })
})

test('an anomaly is listed as the operator reads it', () => {
  expect(JSON.parse(transform.anomaly(anomaly, raw).json)).toMatchObject({
    update_type: 'anomaly',
    desc: 'Engine temperature over the safe limit',
    vehicle_id: 'v1',
    declared_timestamp: 'later',
    detection_timestamp: 'then',
    downtime: '30',
  })
  expect(JSON.parse(transform.anomaly({ ...anomaly, anomalyId: 99 }, raw).json)).toMatchObject({
    desc: 'Anomaly 99',
    cause: 'r',
  })
})

test('an anomaly is known by its record: the same comes again, another one does not', () => {
  const { id } = transform.anomaly(anomaly, raw)
  expect(transform.anomaly(anomaly, raw).id).toBe(id)
  for (const change of [{ topic: 'u' }, { partition: 3 }, { offset: 8 }, { value: Buffer.from('y') }])
    expect(transform.anomaly(anomaly, { ...raw, ...change }).id).not.toBe(id)
})

test('whatever a fact says, its update is what the contract promises', () => {
  const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => !/\p{Cc}/u.test(text))
  const fact: fc.Arbitrary<Fix | Reading> = fc.oneof(
    fc.record({
      kind: fc.constant('reading' as const),
      vehicle: id,
      sensor: id,
      ts: fc.integer(),
      value: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
      text: fc.string(),
    }),
    fc.record({
      kind: fc.constant('fix' as const),
      vehicle: id,
      ts: fc.integer(),
      lat: fc.double({ min: -90, max: 90, noNaN: true }),
      long: fc.double({ min: -180, max: 180, noNaN: true }),
      text: fc.string(),
    }),
  )
  fc.assert(
    fc.property(fact, (said) => {
      const update: unknown = JSON.parse(
        (said.kind === 'fix'
          ? transform.fix(said)
          : transform.readings(said, said.value === null ? [] : [said.ts], said.value === null ? [] : [said.value])
        ).json,
      )
      expect(updateSchema.safeParse(update).error).toBeUndefined()
    }),
  )
})
