import { create, createFileRegistry, fromBinary, toBinary, type DescMessage } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { protobufPayload } from './decode-protobuf.ts'
import { examples, profileFor, truckBytes } from './test-forms.ts'

const descriptor = readFileSync(join(examples, 'fleet.desc'))
const name = 'fleet.Reading'
const message: DescMessage = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptor)).getMessage(name)!

const payload = protobufPayload(descriptor, name)

/** What the fields at these paths are, in their order. */
function read(bytes: Uint8Array, ...paths: string[]): unknown[] {
  const slots: unknown[] = paths.map(() => undefined)
  const wanted = paths.map((path, slot) => ({ path: path.split('.'), slot }))
  payload.reader(wanted)(Buffer.from(bytes), 0, bytes.length, slots)
  return slots
}
const all = ['vehicle.id', 'kind', 'at_ms', 'value', 'lat', 'long', 'delta', 'serial', 'small', 'negative'] as const

test('what protoc’s own Python wrote is read, beside maps and lists', () => {
  expect(read(truckBytes, ...all)).toEqual(['bus-7', 'fuel', 1_700_000_000_000, 61.5, 48.2, -16.4, -5, 2 ** 40, -7, -3])
})

test('a field that is not written has its default, but for those that can be absent', () => {
  const sparse = Buffer.from('0a070a056275732d3810011881d095ffbc31', 'hex')
  expect(read(sparse, ...all)).toEqual(['bus-8', 'speed', 1_700_000_000_001, 0, undefined, undefined, 0, 0, 0, 0])
  expect(read(Buffer.alloc(0), 'vehicle.id', 'kind')).toEqual([undefined, 'KIND_UNSPECIFIED'])
})

test('whatever the library writes is read', { timeout: 60_000 }, () => {
  const int64 = fc.bigInt({ min: -(2n ** 51n), max: 2n ** 51n })
  const int32 = fc.integer()
  const any = fc.record({
    vehicle: fc.record({ id: fc.string({ unit: 'binary' }), tags: fc.array(fc.string(), { maxLength: 3 }) }),
    kind: fc.constantFrom(0, 1, 2),
    atMs: int64,
    // The library takes -0 for the default, and leaves it out.
    value: fc.double({ noNaN: true }).map((value) => value + 0),
    lat: fc.option(fc.double({ noNaN: true }), { nil: undefined }),
    meta: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true, maxKeys: 3 }),
    packed: fc.array(int32, { maxLength: 5 }),
    delta: int64,
    serial: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
    small: int32,
    negative: int32,
  })
  fc.assert(
    fc.property(any, (fields) => {
      const { vehicle, kind, atMs, value, lat, delta, serial, small, negative } = fields
      const bytes = toBinary(message, create(message, fields as never))
      expect(read(bytes, ...all)).toEqual([
        vehicle.id,
        ['KIND_UNSPECIFIED', 'speed', 'fuel'][kind],
        Number(atMs),
        value,
        lat,
        undefined,
        Number(delta),
        Number(serial),
        small,
        negative,
      ])
    }),
  )
})

test('of a field that comes twice the last one counts; a message that comes twice is both', () => {
  const two = Buffer.concat([truckBytes, Buffer.from('0a03120163', 'hex'), Buffer.from('1805', 'hex')])
  expect(read(two, 'vehicle.id', 'at_ms')).toEqual(['bus-7', 5])
})

describe('malformed', () => {
  test.each([
    ['a field of another wire type', '1d00000000'],
    ['a group', '0b0c'],
    ['the field 0', '0200'],
    ['a text that goes beyond the end', '0a050a7f61'],
    ['a length that lies', '42feffffffffffffff7f'],
    ['a number without end', '18ffffffffffffffffffffffff01'],
    ['a number that no double holds', '18ffffffffffffff7f'],
  ])('%s', (_, hex) => {
    expect(() => read(Buffer.from(hex, 'hex'), 'at_ms', 'vehicle.id')).toThrow('malformed')
  })
})

test.each([
  ['fleet.Nothing', {}, 'the descriptor has no message fleet.Nothing'],
  [name, { field: 'speed', as: 'number' }, 'the message has no field speed (it has vehicle, kind, at_ms'],
  [name, { field: 'packed', as: 'number' }, 'fields.value: packed is of type list, not integer or decimal'],
  [name, { field: 'vehicle', as: 'number' }, 'fields.value: vehicle is of type record'],
  [name, { field: 'meta.k', as: 'number' }, 'the message has no field meta.k'],
])('%s with %o is a mistake', (type, value, sentence) => {
  const spec = {
    payload: { form: 'protobuf', descriptorFile: 'fleet.desc', message: type },
    fields: {
      vehicle: { field: 'vehicle.id' },
      sensor: { field: 'kind' },
      time: { field: 'at_ms' },
      value: 'field' in value ? value : { field: 'value', as: 'number' },
    },
  }
  expect(() => profileFor(spec)).toThrow(sentence)
})
