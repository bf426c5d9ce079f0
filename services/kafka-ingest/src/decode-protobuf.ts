import { createFileRegistry, fromBinary, ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf'
import { FeatureSet_FieldPresence as Presence, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { Cursor } from './decode-cursor.ts'
import { isConfluent, isSingleObject } from './decode-guard.ts'
import { malformed, ProfileError, wantedTree, type FieldReader, type FieldType, type Payload } from './decode.ts'
import type { WantedTree } from './decode.ts'

const wire = { varint: 0, eight: 1, delimited: 2, four: 5 } as const
const openingBrace = 0x7b
const twoTo32 = 2 ** 32

/**
 * Protocol Buffers by a compiled descriptor (`protoc --descriptor_set_out=… --include_imports`). The library knows what the
 * descriptor means; the records we read ourselves, and of them only the wanted fields. @throws ProfileError
 */
export function protobufPayload(descriptor: Uint8Array, name: string): Payload {
  const message = findMessage(descriptor, name)
  return {
    typeOf: (path) => typeOf(message, path),
    reader: (wanted) => {
      const cursor = new Cursor()
      const plan = planOf(message, wantedTree(wanted))
      const read: FieldReader = (bytes, from, to, slots) => {
        // No field has the number 0, and groups, whose wire type the other two would have, are not read.
        if (isConfluent(bytes, from, to)) return 'confluent_framing'
        if (isSingleObject(bytes, from, to)) return 'single_object_framing'
        if (bytes[from] === openingBrace) return 'json_text'
        cursor.begin(bytes, from, to, slots)
        readMessage(cursor, plan)
        return undefined
      }
      return read
    },
  }
}

function findMessage(descriptor: Uint8Array, name: string): DescMessage {
  let message
  try {
    message = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptor)).getMessage(name)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ProfileError(`this is no complete descriptor set (protoc --include_imports): ${reason}`)
  }
  if (!message) throw new ProfileError(`the descriptor has no message ${name}`)
  return message
}

const fieldOf = (message: DescMessage, name: string) => message.fields.find((field) => field.name === name)

function typeOf(message: DescMessage, path: readonly string[]): FieldType {
  let outer: DescMessage | undefined = message
  let type: FieldType = 'record'
  for (const [depth, name] of path.entries()) {
    const field: DescField | undefined = outer && fieldOf(outer, name)
    if (!field) {
      const names = outer?.fields.map((one) => one.name).join(', ') ?? 'no fields'
      throw new ProfileError(`the message has no field ${path.slice(0, depth + 1).join('.')} (it has ${names})`)
    }
    outer = field.fieldKind === 'message' && !field.delimitedEncoding ? field.message : undefined
    type = fieldType(field)
  }
  return type
}

function fieldType(field: DescField): FieldType {
  if (field.fieldKind === 'enum') return 'text'
  if (field.fieldKind === 'message') return 'record'
  return field.fieldKind === 'scalar' ? (scalarTypes[field.scalar] ?? 'integer') : 'list'
}

const scalarTypes: { [type in ScalarType]?: FieldType } = {
  [ScalarType.STRING]: 'text',
  [ScalarType.BYTES]: 'bytes',
  [ScalarType.BOOL]: 'truth value',
  [ScalarType.DOUBLE]: 'decimal',
  [ScalarType.FLOAT]: 'decimal',
}

/** What to do with a message's fields, by their numbers; what is not in it is passed over. */
type Plan = {
  fields: Map<number, { wire: number; take: (cursor: Cursor) => void }>
  /** Fields that are not written when they have their default value. */
  defaults: { slot: number; value: unknown }[]
}

function planOf(message: DescMessage, wanted: WantedTree): Plan {
  const plan: Plan = { fields: new Map(), defaults: [] }
  for (const [name, { slots, recurs, fields }] of wanted.fields) {
    const field = fieldOf(message, name)!
    if (field.fieldKind === 'message') {
      const inner = planOf(field.message, { slots: [], recurs: false, fields })
      plan.fields.set(field.number, { wire: wire.delimited, take: (cursor) => readNested(cursor, inner) })
      continue
    }
    const read = valueReader(field, recurs)
    if (!read) continue
    const take = (cursor: Cursor) => {
      const value = read.value(cursor)
      for (const slot of slots) cursor.slots[slot] = value
    }
    plan.fields.set(field.number, { wire: read.wire, take })
    if (field.presence === Presence.IMPLICIT) for (const slot of slots) plan.defaults.push({ slot, value: read.absent })
  }
  return plan
}

function readNested(cursor: Cursor, plan: Plan): void {
  const length = cursor.varint()
  const outerEnd = cursor.end
  if (length > outerEnd - cursor.at) throw malformed
  cursor.end = cursor.at + length
  readMessage(cursor, plan)
  cursor.end = outerEnd
}

/** Of a field that comes twice the last one counts, and a message that comes twice is one with the fields of both. */
function readMessage(cursor: Cursor, { fields, defaults }: Plan): void {
  for (const { slot, value } of defaults) cursor.slots[slot] ??= value
  while (cursor.at < cursor.end) {
    const tag = cursor.varint()
    const wireType = tag % 8
    const number = (tag - wireType) / 8
    const field = fields.get(number)
    if (number === 0 || (field && field.wire !== wireType)) throw malformed
    if (field) field.take(cursor)
    else skip(cursor, wireType)
  }
}

function skip(cursor: Cursor, wireType: number): void {
  if (wireType === wire.varint) cursor.skipVarint()
  else if (wireType === wire.eight) cursor.skip(8)
  else if (wireType === wire.delimited) cursor.skip(cursor.varint())
  else if (wireType === wire.four) cursor.skip(4)
  else throw malformed
}

type ValueReader = { wire: number; absent: unknown; value: (cursor: Cursor) => unknown }

/** Undefined: a value of this type never stands for anything that we read. */
function valueReader(field: DescField, recurs: boolean): ValueReader | undefined {
  if (field.fieldKind === 'enum') {
    const names = new Map(field.enum.values.map(({ number, name }) => [number, name]))
    return { wire: wire.varint, absent: names.get(0), value: (cursor) => names.get(signed(cursor)) }
  }
  if (field.fieldKind !== 'scalar') return undefined
  return recurs && field.scalar === ScalarType.STRING ? recurringText : scalars[field.scalar]
}

const recurringText: ValueReader = {
  wire: wire.delimited,
  absent: '',
  value: (cursor) => cursor.recurringText(cursor.varint()),
}

const scalars: { [type in ScalarType]?: ValueReader } = {
  [ScalarType.STRING]: { wire: wire.delimited, absent: '', value: (cursor) => cursor.text(cursor.varint()) },
  [ScalarType.DOUBLE]: { wire: wire.eight, absent: 0, value: (cursor) => cursor.double() },
  [ScalarType.FLOAT]: { wire: wire.four, absent: 0, value: (cursor) => cursor.float() },
  [ScalarType.INT32]: { wire: wire.varint, absent: 0, value: signed },
  [ScalarType.INT64]: { wire: wire.varint, absent: 0, value: signed },
  [ScalarType.UINT32]: { wire: wire.varint, absent: 0, value: (cursor) => cursor.varint() },
  [ScalarType.UINT64]: { wire: wire.varint, absent: 0, value: (cursor) => cursor.varint() },
  [ScalarType.SINT32]: { wire: wire.varint, absent: 0, value: (cursor) => cursor.long() },
  [ScalarType.SINT64]: { wire: wire.varint, absent: 0, value: (cursor) => cursor.long() },
  [ScalarType.FIXED32]: { wire: wire.four, absent: 0, value: (cursor) => word(cursor) },
  [ScalarType.SFIXED32]: { wire: wire.four, absent: 0, value: (cursor) => word(cursor) | 0 },
  [ScalarType.FIXED64]: { wire: wire.eight, absent: 0, value: (cursor) => exact(word(cursor), word(cursor)) },
  [ScalarType.SFIXED64]: { wire: wire.eight, absent: 0, value: (cursor) => exact(word(cursor), word(cursor) | 0) },
}

function word(cursor: Cursor): number {
  cursor.skip(4)
  return cursor.bytes.readUInt32LE(cursor.at - 4)
}

/** A number in two's complement; a negative one has ten bytes. */
function signed(cursor: Cursor): number {
  let low = 0
  let high = 0
  for (let index = 0; index < 10; index++) {
    const byte = cursor.byte()
    const bits = byte & 0x7f
    if (index < 5) low |= bits << (7 * index)
    if (index === 4) high = bits >> 4
    if (index > 4) high |= bits << (7 * index - 32)
    if (byte < 0x80) return exact(low >>> 0, high)
  }
  throw malformed
}

/** What a double cannot hold exactly is nothing that we can use. */
function exact(low: number, high: number): number {
  const value = high * twoTo32 + low
  if (!Number.isSafeInteger(value)) throw malformed
  return value
}
