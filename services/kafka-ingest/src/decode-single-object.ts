import type { Type } from 'avsc'
import { ProfileError, type FieldReader } from './decode.ts'
import { isSingleObject, otherFraming } from './decode-guard.ts'

const emptyFingerprint = 0xc15d213aa4d7a795n
const headerBytes = 10

const table = Array.from({ length: 256 }, (_, byte) => {
  let print = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) print = (print >> 1n) ^ (print & 1n ? emptyFingerprint : 0n)
  return print
})

/** CRC-64-AVRO of the schema's canonical form, by the Avro specification, "Schema Fingerprints". */
export function fingerprint(type: Type): bigint {
  let print = emptyFingerprint
  for (const byte of Buffer.from(JSON.stringify(type.schema())))
    print = (print >> 8n) ^ table[Number((print ^ BigInt(byte)) & 0xffn)]!
  return print
}

/** Avro's single-object encoding: `C3 01`, the fingerprint of the writer's schema, little endian, and the record. */
export function singleObjectReader(schemas: readonly { type: Type; reader: FieldReader }[]): FieldReader {
  const known = schemas.map(({ type, reader }) => {
    const print = fingerprint(type)
    return { low: Number(print & 0xffffffffn), high: Number(print >> 32n), reader }
  })
  const twice = known.some(
    (one, index) => known.findIndex(({ low, high }) => low === one.low && high === one.high) < index,
  )
  if (twice) throw new ProfileError('two schema files say the same schema')
  return (bytes, from, to, slots) => {
    if (!isSingleObject(bytes, from, to)) return otherFraming(bytes, from, to) ?? 'not_framed'
    if (to - from < headerBytes) return 'malformed'
    const low = bytes.readUInt32LE(from + 2)
    const high = bytes.readUInt32LE(from + 6)
    for (const schema of known)
      if (schema.low === low && schema.high === high) return schema.reader(bytes, from + headerBytes, to, slots)
    return 'unknown_schema'
  }
}
