import avro, { type Schema, type Type } from 'avsc'
import { Cursor } from './decode-cursor.ts'
import { malformed, ProfileError, wantedTree, type FieldReader, type FieldType, type Payload } from './decode.ts'
import type { Wanted, WantedTree } from './decode.ts'

/**
 * avsc reads the schema, we read the records: its own decoder looks at the end of the bytes only after it has gone through
 * them, so that an array whose length is garbage keeps it busy for years; and it would decode what nobody needs.
 */
type Step = (cursor: Cursor) => void
type Take = (cursor: Cursor) => unknown

const nothing: Step = () => {}

/** Times that are no milliseconds whatever the mapping says. */
class FineTime extends avro.types.LogicalType {}
const logicalTypes = { 'timestamp-micros': FineTime, 'timestamp-nanos': FineTime, 'local-timestamp-micros': FineTime }

/** `known` has the types that a schema may name, and gets those that it defines. @throws ProfileError */
export function parseAvroSchema(text: string, known: Record<string, Type> = {}): Type {
  try {
    return avro.Type.forSchema(JSON.parse(text) as Schema, { logicalTypes, registry: known })
  } catch (error) {
    throw new ProfileError(`this is no Avro schema: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Bare Avro binary of one writer schema. @throws ProfileError */
export function avroPayload(type: Type): Payload & { record: avro.types.RecordType } {
  const record = plain(type)
  if (!isRecord(record)) throw new ProfileError(`the Avro schema is a ${record.typeName}, not a record`)
  return {
    record,
    typeOf: (path) => typeOf(record, path),
    reader: (wanted) => reader(record, wanted),
  }
}

const isRecord = (type: Type): type is avro.types.RecordType => type instanceof avro.types.RecordType
const isUnion = (type: Type): type is avro.types.UnwrappedUnionType | avro.types.WrappedUnionType =>
  type instanceof avro.types.UnwrappedUnionType || type instanceof avro.types.WrappedUnionType
const plain = (type: Type): Type => (type instanceof avro.types.LogicalType ? type.underlyingType : type)

/** The type of a field that may be null. */
function present(type: Type): Type {
  if (!isUnion(type)) return type
  const branches = type.types.filter(({ typeName }) => typeName !== 'null')
  return branches.length === 1 ? branches[0]! : type
}

function typeOf(record: avro.types.RecordType, path: readonly string[]): FieldType {
  let type: Type = record
  for (const [depth, name] of path.entries()) {
    const outer = plain(present(type))
    const field = isRecord(outer) ? outer.fields.find((one) => one.name === name) : undefined
    if (!field) {
      const names = isRecord(outer) ? outer.fields.map((one) => one.name).join(', ') : 'no fields'
      throw new ProfileError(`the schema has no field ${path.slice(0, depth + 1).join('.')} (it has ${names})`)
    }
    type = field.type
  }
  const found = present(type)
  if (found instanceof FineTime) return 'fine time'
  return fieldTypes[plain(found).typeName] ?? 'record'
}

const fieldTypes: Record<string, FieldType> = {
  string: 'text',
  enum: 'text',
  int: 'integer',
  long: 'integer',
  float: 'decimal',
  double: 'decimal',
  boolean: 'truth value',
  bytes: 'bytes',
  fixed: 'bytes',
  array: 'list',
  map: 'list',
}

function reader(record: avro.types.RecordType, wanted: readonly Wanted[]): FieldReader {
  const cursor = new Cursor()
  const steps = new Skipper().pick(record, wantedTree(wanted))
  return (bytes, from, to, slots) => {
    cursor.begin(bytes, from, to, slots)
    steps(cursor)
    return cursor.at === to ? undefined : 'malformed'
  }
}

/** Goes over values of these types, one behind the other. */
export function skipAll(all: readonly Type[]): (cursor: Cursor) => void {
  const skipper = new Skipper()
  return sequence(all.map((type) => skipper.skip(type)))
}

/** Compiles the steps through a schema. A schema may contain itself, so that each type's step is made once. */
class Skipper {
  readonly #skips = new Map<Type, Step>()

  /** Goes over a value and takes what is wanted of it. */
  pick(declared: Type, wanted: WantedTree): Step {
    const type = plain(declared)
    if (isUnion(type)) return branch(type.types.map((one) => this.pick(one, wanted)))
    const [slot, ...more] = wanted.slots
    if (slot !== undefined) {
      const step = taking(type, slot, wanted.recurs)
      if (!step) return this.skip(type)
      return more.length === 0 ? step : both(step, copyTo(slot, more))
    }
    if (!isRecord(type) || wanted.fields.size === 0) return this.skip(type)
    return sequence(
      type.fields.map(({ name, type: field }) => {
        const inner = wanted.fields.get(name)
        return inner ? this.pick(field, inner) : this.skip(field)
      }),
    )
  }

  skip(declared: Type): Step {
    const type = plain(declared)
    const known = this.#skips.get(type)
    if (known) return known
    let step: Step | undefined
    this.#skips.set(type, (cursor) => step!(cursor))
    step = this.#skipOf(type)
    this.#skips.set(type, step)
    return step
  }

  #skipOf(type: Type): Step {
    if (isUnion(type)) return branch(type.types.map((one) => this.skip(one)))
    if (isRecord(type)) return sequence(type.fields.map((field) => this.skip(field.type)))
    if (type instanceof avro.types.ArrayType) return blocks(this.skip(type.itemsType))
    if (type instanceof avro.types.MapType) return blocks(both(skips['string']!, this.skip(type.valuesType)))
    if (type instanceof avro.types.FixedType) return (cursor) => cursor.skip(type.size)
    const skip = skips[type.typeName]
    if (!skip) throw new ProfileError(`Avro's type ${type.typeName} is not known here`)
    return skip
  }
}

const skips: Record<string, Step> = {
  null: nothing,
  boolean: (cursor) => cursor.skip(1),
  int: (cursor) => cursor.skipVarint(),
  long: (cursor) => cursor.skipVarint(),
  enum: (cursor) => cursor.skipVarint(),
  float: (cursor) => cursor.skip(4),
  double: (cursor) => cursor.skip(8),
  bytes: (cursor) => cursor.skip(cursor.long()),
  string: (cursor) => cursor.skip(cursor.long()),
}

/** Undefined: a value of this type never stands for anything that we read. */
function taking(type: Type, slot: number, recurs: boolean): Step | undefined {
  if (type.typeName === 'string' && recurs)
    return (cursor) => void (cursor.slots[slot] = cursor.recurringText(cursor.long()))
  if (type.typeName === 'string') return (cursor) => void (cursor.slots[slot] = cursor.text(cursor.long()))
  const take = takes[type.typeName]
  if (take) return (cursor) => void (cursor.slots[slot] = take(cursor))
  if (!(type instanceof avro.types.EnumType)) return undefined
  const { symbols } = type
  return (cursor) => void (cursor.slots[slot] = symbols[cursor.long()] ?? raise())
}

const takes: Record<string, Take> = {
  int: (cursor) => cursor.long(),
  long: (cursor) => cursor.long(),
  float: (cursor) => cursor.float(),
  double: (cursor) => cursor.double(),
}

const raise = (): never => {
  throw malformed
}

const both =
  (one: Step, other: Step): Step =>
  (cursor) => {
    one(cursor)
    other(cursor)
  }

const copyTo =
  (slot: number, others: readonly number[]): Step =>
  ({ slots }) => {
    for (const other of others) slots[other] = slots[slot]
  }

const sequence = (steps: readonly Step[]): Step => {
  const [only, ...more] = steps
  if (!only) return nothing
  if (more.length === 0) return only
  return (cursor) => {
    for (const step of steps) step(cursor)
  }
}

const branch =
  (steps: readonly Step[]): Step =>
  (cursor) => {
    const step = steps[cursor.long()]
    if (!step) throw malformed
    step(cursor)
  }

/** The blocks of a list. Items that take no bytes would let a few bytes count to 2^52: nobody sends lists of nothing. */
const blocks =
  (item: Step): Step =>
  (cursor) => {
    for (let count = cursor.long(); count !== 0; count = cursor.long()) {
      if (count < 0) cursor.skip(cursor.long())
      else if (count > cursor.end - cursor.at) throw malformed
      else for (let index = 0; index < count; index++) item(cursor)
    }
  }
