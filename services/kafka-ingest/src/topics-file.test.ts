import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readConfig } from '@flasktoria/service-kit/config'
import { configSchema, optionNames, topicRules } from './config.ts'
import { examples } from './test-forms.ts'
import { chooseTopics } from './topics.ts'
import { readTopicsFile } from './topics-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'topics-'))

const fleet = (name: string, type: unknown) => ({ name, type })
writeFileSync(
  join(folder, 'fleet.avsc'),
  JSON.stringify({
    type: 'record',
    name: 'R',
    fields: [
      fleet('id', 'string'),
      fleet('signal', 'string'),
      fleet('t', 'long'),
      fleet('v', 'double'),
      fleet('w', 'string'),
    ],
  }),
)
writeFileSync(join(folder, 'list.avsc'), '{"type":"array","items":"string"}')
writeFileSync(join(folder, 'broken.avsc'), '{"type":')

const good = {
  name: 'fleet',
  topics: ['fleet.raw'],
  kind: 'sensor',
  payload: { form: 'avro', schemaFile: 'fleet.avsc' },
  fields: {
    vehicle: { field: 'id' },
    sensor: { field: 'signal' },
    time: { field: 't', as: 'seconds' },
    value: { field: 'v', as: 'number' },
  },
}
const write = (...profiles: object[]): string => {
  const path = join(folder, 'topics.json')
  writeFileSync(path, JSON.stringify(profiles))
  return path
}
const read = (environment: Record<string, string>) => readConfig(configSchema, environment, optionNames)
const loading = (...profiles: object[]) => {
  const config = read({ TOPICS_FILE: write(...profiles) })
  if (config.SOURCE !== 'kafka') throw new Error('another source')
  return config
}
const withFields = (fields: object) => ({ ...good, fields: { ...good.fields, ...fields } })

test('the worked example is read', () => {
  const rules = readTopicsFile(join(examples, 'topics.json'))
  expect(rules.map(({ profile }) => profile.name)).toEqual([
    'buses',
    'trams',
    'ferries',
    'vans',
    'cars',
    'trucks',
    'truck-positions',
    'alarms',
  ])
  const { profiles } = chooseTopics(rules, ['city.bus.line-12', 'city.bus.line-x', 'city.alarm'])
  expect([...profiles].map(([topic, { name, kind }]) => [topic, name, kind])).toEqual([
    ['city.bus.line-12', 'buses', 'sensor'],
    ['city.alarm', 'alarms', 'anomaly'],
  ])
})

test('so is what the README shows', () => {
  const readme = readFileSync(join(examples, '../../../README.md'), 'utf8')
  const [, block] = /```json\n(\[\n[^`]*"kind"[^`]*)```/.exec(readme) ?? []
  writeFileSync(join(folder, 'topics.json'), block!)
  expect(readTopicsFile(join(folder, 'topics.json')).map(({ profile }) => profile.name)).toEqual(['cars'])
})

test('with a file the topics of the old system are not waited for, unless they are named', () => {
  expect(topicRules(loading(good)).flatMap(({ names }) => names)).toEqual(['fleet.raw'])
  const both = read({ TOPICS_FILE: write(good), ANOMALY_TOPICS: 'alarms' })
  if (both.SOURCE !== 'kafka') throw new Error('another source')
  expect(topicRules(both).flatMap(({ names }) => names)).toEqual(['alarms', 'fleet.raw'])
})

test('times, values, positions and texts are what the mapping says', () => {
  const json = { ...good, payload: { form: 'json' } }
  const reading = (fields: object, record: object) => {
    const [rule] = topicRules(loading({ ...json, fields })).filter(({ names }) => names.length > 0)
    return rule!.profile.read(Buffer.from(JSON.stringify(record)))
  }
  const { fields } = good
  expect(reading(fields, { id: 7, signal: 's', t: 1.5, v: -2 })).toMatchObject({ vehicle: '7', ts: 1_500, value: -2 })
  const zoned = { ...fields, time: { field: 't', as: 'text', zone: 'Europe/Vienna' } }
  const noon = { id: 'a', signal: 's', t: '2026-01-15 12:00:00', v: 1 }
  expect(reading(zoned, noon)).toMatchObject({ ts: Date.UTC(2026, 0, 15, 11) })
  expect(reading(zoned, { ...noon, t: 'noon' })).toMatchObject({ ok: true, ts: NaN })
  const worded = { ...fields, value: { field: 'v', as: 'text' } }
  expect(reading(worded, { ...noon, t: 1, v: 'drive' })).toMatchObject({ value: 'drive' })
  const labelled = { ...fields, value: { field: 'v' } }
  expect(reading(labelled, { ...noon, t: 1, v: 'Gear: drive' })).toMatchObject({ value: 'drive' })
  expect(reading(labelled, { ...noon, t: 1, v: 'drive' })).toMatchObject({ ok: true, value: undefined })
  const marked = { ...fields, position: { sensor: 'gps', field: 'where' } }
  expect(reading(marked, { ...noon, t: 1, signal: 'gps', where: 'GPS: [1,2]' })).toMatchObject({
    kind: 'sensor',
    sensor: 'gps_coordinates',
    value: '[1,2]',
  })
  const places = { vehicle: { field: 'id' }, time: { field: 't' }, position: { lat: 'p.lat', long: 'p.long' } }
  expect(reading(places, { ...noon, t: 1, p: { lat: 1, long: 2 } })).toEqual({
    ok: true,
    kind: 'fix',
    vehicle: 'a',
    ts: 1,
    lat: 1,
    long: 2,
  })
  for (const [record, reason] of [
    [{ ...noon, t: 1, v: '1' }, 'wrong_type'],
    [{ ...noon, t: '1' }, 'wrong_type'],
    [{ ...noon, t: 1, id: true }, 'wrong_type'],
    [{ ...noon, t: 1, id: 1.5 }, 'wrong_type'],
    [{ ...noon, t: 1, v: null }, 'missing_field'],
    [{ ...noon, t: 1, v: undefined }, 'missing_field'],
    [{ t: 1, v: 1, signal: 's', toString: 1 }, 'missing_field'],
  ] as const)
    expect(reading(fields, record)).toEqual({ ok: false, reason })
})

describe('a mistake is one sentence', () => {
  test.each([
    [
      'no field of that name',
      withFields({ value: { field: 'speed', as: 'number' } }),
      'profile fleet: the schema has no field speed (it has id, signal, t, v, w)',
    ],
    [
      'a field of another type',
      withFields({ value: { field: 'v', as: 'labelled' } }),
      'fields.value: v is of type decimal, not text',
    ],
    [
      'a time that is text',
      withFields({ time: { field: 'w', as: 'ms' } }),
      'fields.time: w is of type text, not integer or decimal',
    ],
    ['no such zone', withFields({ time: { field: 'w', as: 'text', zone: 'Mars/Olympus' } }), 'Mars/Olympus'],
    [
      'two sources',
      withFields({ vehicle: { field: 'id', constant: 'x' } }),
      'has field and constant: two sources for one thing',
    ],
    ['no source', withFields({ vehicle: {} }), 'needs one of field, constant'],
    ['nothing to read', withFields({ value: undefined }), 'needs a value, a position, or both'],
    ['no sensor', withFields({ sensor: undefined }), 'sensor: is missing'],
    [
      'a position of two kinds',
      withFields({ position: { field: 'w', lat: 'v', long: 'v' } }),
      'two sources for one thing',
    ],
    ['half a position', withFields({ position: { lat: 'v' } }), 'needs both lat and long'],
    [
      'a constant sensor with two meanings',
      withFields({ sensor: { constant: 's' }, position: { lat: 'v', long: 'v' } }),
      'two sources for one reading',
    ],
    ['an unknown word', withFields({ speed: { field: 'v' } }), 'speed'],
    ['no such file', { ...good, payload: { form: 'avro', schemaFile: 'nowhere.avsc' } }, 'nowhere.avsc'],
    ['no schema', { ...good, payload: { form: 'avro', schemaFile: 'broken.avsc' } }, 'broken.avsc'],
    [
      'a schema that is no record',
      { ...good, payload: { form: 'avro', schemaFile: 'list.avsc' } },
      'the Avro schema is a array',
    ],
    [
      'two schemas',
      { ...good, payload: { form: 'avro', schemaFile: 'fleet.avsc', schema: 'sensor' } },
      'has schema and schemaFile',
    ],
    ['an unknown form', { ...good, payload: { form: 'xml' } }, 'form'],
    [
      'two ways to find a schema',
      { ...good, payload: { form: 'confluent', registry: { url: 'http://x' }, schemaFiles: {} } },
      'has registry and schemaFiles',
    ],
    [
      'no schema id',
      { ...good, payload: { form: 'confluent', schemaFiles: { seven: 'fleet.avsc' } } },
      'schemaFiles.seven',
    ],
    [
      'a user without a password',
      { ...good, payload: { form: 'confluent', registry: { url: 'http://x', username: 'me' } } },
      'needs username and passwordFile together',
    ],
    [
      'the same schema twice',
      { ...good, payload: { form: 'single-object', schemaFiles: ['fleet.avsc', 'fleet.avsc'] } },
      'two schema files say the same schema',
    ],
    [
      'no descriptor',
      { ...good, payload: { form: 'protobuf', descriptorFile: 'fleet.avsc', message: 'X' } },
      'this is no complete descriptor set',
    ],
    [
      'an envelope without its fields',
      { ...good, envelope: { form: 'pnda', fields: 'source', schemaFile: 'fleet.avsc' } },
      "fleet.avsc: the envelope's schema has no field source",
    ],
    ['no topic', { ...good, topics: [] }, 'topics'],
    ['what is no topic', { ...good, topics: ['a b'] }, 'profile fleet: "a b" is neither'],
    ['two topics in one', { ...good, topics: ['a,b'] }, '"a,b" is not one topic'],
  ])('%s', (_, profile, sentence) => {
    expect(() => loading(profile)).toThrow(sentence)
  })

  test('a topic or a pattern that two profiles claim', () => {
    expect(() => loading(good, { ...good, name: 'other' })).toThrow('topic fleet.raw has several profiles')
    const pattern = { ...good, topics: ['/fleet\\..*/'] }
    expect(() => loading(pattern, { ...pattern, name: 'other' })).toThrow('has several profiles')
    expect(() => loading(good, { ...good, topics: ['b'] })).toThrow('two profiles have the name fleet')
    expect(() => read({ TOPICS_FILE: write(good), SENSOR_TOPICS: 'fleet.raw' })).toThrow('topic fleet.raw has several')
  })

  test('a file that is not there, or no list', () => {
    expect(() => read({ TOPICS_FILE: join(folder, 'nowhere.json') })).toThrow('TOPICS_FILE: ENOENT')
    writeFileSync(join(folder, 'topics.json'), '{}')
    expect(() => read({ TOPICS_FILE: join(folder, 'topics.json') })).toThrow('TOPICS_FILE')
  })
})
