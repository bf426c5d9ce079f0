import avro, { type Type } from 'avsc'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avroPayload, parseAvroSchema } from './decode-avro.ts'
import { fingerprint } from './decode-single-object.ts'
import { busFingerprint, busType, profileFor } from './test-forms.ts'

/** What the fields at these paths are, in their order. */
function read(type: Type, bytes: Buffer, ...paths: string[]): unknown[] | string {
  const slots: unknown[] = paths.map(() => undefined)
  const wanted = paths.map((path, slot) => ({ path: path.split('.'), slot }))
  return avroPayload(type).reader(wanted)(bytes, 0, bytes.length, slots) ?? slots
}

const recordOf = (...fields: [string, unknown][]) =>
  parseAvroSchema(JSON.stringify({ type: 'record', name: 'R', fields: fields.map(([name, type]) => ({ name, type })) }))

test('what another library wrote is read: nested records, branches, enums and lists', () => {
  // By fastavro.
  const full =
    '040261026202630264000a6275732d3702540280a0abfef9620602027800046162636400020a6275732d3600020000000000c04e40'
  const sparse = '000a6275732d37000082a0abfef962000000'
  const paths = ['bus.id', 'bus.line', 'kind', 'at', 'previous.id', 'value'] as const
  expect(read(busType, Buffer.from(full, 'hex'), ...paths)).toEqual([
    'bus-7',
    42,
    'fuel',
    1_700_000_000_000,
    'bus-6',
    61.5,
  ])
  expect(read(busType, Buffer.from(sparse, 'hex'), ...paths)).toEqual([
    'bus-7',
    undefined,
    'speed',
    1_700_000_000_001,
    undefined,
    undefined,
  ])
})

describe('fingerprints', () => {
  test.each([
    ['null', 0x63dd24e7cc258f8an],
    ['int', 0x7275d51a3f395c8fn],
    ['string', 0x8f014872634503c7n],
  ] as const)('%s, as the specification has it', (name, print) => {
    expect(fingerprint(avro.Type.forSchema(name))).toBe(print)
  })

  test('a schema that names a type twice, as fastavro computes it', () => {
    const print = Buffer.alloc(8)
    print.writeBigUInt64LE(fingerprint(busType))
    expect(print).toEqual(busFingerprint)
  })
})

type AnyRecord = { f: number; text: string; deep: { n: number | null }; d: number; n: number; again: AnyRecord | null }

describe('any record', () => {
  const schema = {
    type: 'record',
    name: 'Any',
    fields: [
      { name: 'flag', type: 'boolean' },
      { name: 'f', type: 'float' },
      { name: 'list', type: { type: 'array', items: { type: 'map', values: 'long' } } },
      { name: 'text', type: 'string' },
      { name: 'deep', type: { type: 'record', name: 'Deep', fields: [{ name: 'n', type: ['null', 'int'] }] } },
      { name: 'raw', type: 'bytes' },
      { name: 'd', type: 'double' },
      { name: 'again', type: ['null', 'Any'] },
      { name: 'n', type: 'long' },
    ],
  } as const
  const type = avro.Type.forSchema(schema as never)
  const any = fc.letrec((tie) => ({
    record: fc.record({
      flag: fc.boolean(),
      f: fc.float({ noNaN: true }),
      list: fc.array(fc.dictionary(fc.string({ maxLength: 3 }), fc.integer(), { noNullPrototype: true })),
      text: fc.string({ unit: 'binary' }),
      deep: fc.record({ n: fc.option(fc.integer()) }),
      raw: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      d: fc.double({ noNaN: true }),
      again: fc.option(tie('record'), { maxDepth: 3 }),
      n: fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
    }),
  })).record as unknown as fc.Arbitrary<AnyRecord>

  test('is read as avsc wrote it', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(any, (record) => {
        const { f, text, deep, d, again, n } = record
        const paths = ['f', 'text', 'deep.n', 'd', 'n', 'again.text'] as const
        expect(read(type, type.toBuffer(record), ...paths)).toEqual([f, text, deep.n ?? undefined, d, n, again?.text])
      }),
    )
  })
})

describe('lengths that lie end at once', () => {
  const hugeCount = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])
  test.each([
    ['a list of longs', { type: 'array', items: 'long' }],
    ['a list of nothing', { type: 'array', items: 'null' }],
    ['a map', { type: 'map', values: 'string' }],
    ['a text', 'string'],
    ['bytes', 'bytes'],
  ])('%s', (_, type) => {
    const value = Buffer.concat([hugeCount, Buffer.alloc(40)])
    expect(() => read(recordOf(['x', type], ['n', 'long']), value, 'n')).toThrow('malformed')
  })

  test('a type that contains itself, as deep as the bytes go', () => {
    const type = parseAvroSchema('{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}')
    expect(() => read(type, Buffer.alloc(16_000, 2))).toThrow(/malformed|call stack/)
    expect(read(type, Buffer.from([2, 2, 0]))).toEqual([])
  })
})

test.each([
  ['a time in microseconds', { type: 'long', logicalType: 'timestamp-micros' }, 'micro- or nanoseconds'],
  ['a time as bytes', 'bytes', 'fields.time: t is of type bytes, not integer or decimal'],
  ['a time of several types', ['long', 'string'], 'fields.time: t is of type record'],
])('%s does not fit', (_, type, sentence) => {
  const spec = {
    payload: { form: 'avro', schemaFile: 'x' },
    fields: {
      vehicle: { field: 'v' },
      sensor: { field: 's' },
      time: { field: 't' },
      value: { field: 'x', as: 'number' },
    },
  }
  const text = JSON.stringify({
    type: 'record',
    name: 'R',
    fields: [
      { name: 'v', type: 'string' },
      { name: 's', type: 'string' },
      { name: 't', type },
      { name: 'x', type: 'double' },
    ],
  })
  expect(() => profileFor(spec, () => Buffer.from(text))).toThrow(sentence)
})
