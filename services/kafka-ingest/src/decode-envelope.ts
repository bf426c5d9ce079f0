import type avro from 'avsc'
import { skipAll } from './decode-avro.ts'
import { Cursor } from './decode-cursor.ts'
import { ProfileError, type FieldReader } from './decode.ts'
import { otherFraming } from './decode-guard.ts'
import type { EnvelopeSpec } from './profile-spec.ts'

type Envelope = (inner: FieldReader) => FieldReader

/**
 * PNDA's envelope: `timestamp`, then `source` or `src` and `host_ip`, then the record itself as `rawdata`. Only the record is
 * looked at. Later versions append fields: they are passed over.
 */
export function pndaEnvelope(fields: EnvelopeSpec['fields']): Envelope {
  const texts = fields === 'source' ? 1 : 2
  return unwrapping(
    (cursor) => {
      cursor.skipVarint()
      for (let count = 0; count < texts; count++) cursor.skip(cursor.long())
    },
    (cursor) => cursor.skip(cursor.end - cursor.at),
  )
}

/** The same by its writer schema: it is checked to its end. @throws ProfileError when it is no such envelope */
export function envelopeOf(schema: avro.types.RecordType, fields: EnvelopeSpec['fields']): Envelope {
  for (const name of fields.split('+'))
    if (!schema.fields.some((field) => field.name === name))
      throw new ProfileError(`the envelope's schema has no field ${name}`)
  const position = schema.fields.findIndex(({ name }) => name === 'rawdata')
  if (schema.fields[position]?.type.typeName !== 'bytes')
    throw new ProfileError("the envelope's schema has no field rawdata of bytes")
  const skipBefore = skipAll(schema.fields.slice(0, position).map(({ type }) => type))
  const skipBehind = skipAll(schema.fields.slice(position + 1).map(({ type }) => type))
  return unwrapping(skipBefore, skipBehind)
}

const unwrapping =
  (skipBefore: (cursor: Cursor) => void, skipBehind: (cursor: Cursor) => void): Envelope =>
  (inner) => {
    const cursor = new Cursor()
    return (bytes, from, to, slots) => {
      const other = otherFraming(bytes, from, to)
      if (other) return other
      cursor.begin(bytes, from, to, slots)
      skipBefore(cursor)
      const length = cursor.long()
      const begin = cursor.at
      cursor.skip(length)
      skipBehind(cursor)
      return cursor.at === to ? inner(bytes, begin, begin + length, slots) : 'malformed'
    }
  }
