import type { FieldReader } from './decode.ts'
import { isConfluent, otherFraming } from './decode-guard.ts'
import type { DecodeFailure } from './topic-profile.ts'

const headerBytes = 5

/** Confluent's framing: `00`, the id of the writer's schema, big endian, and the record. */
export const confluentReader =
  (readerOf: (id: number) => FieldReader | DecodeFailure): FieldReader =>
  (bytes, from, to, slots) => {
    if (!isConfluent(bytes, from, to)) return otherFraming(bytes, from, to) ?? 'not_framed'
    const reader = readerOf(bytes.readUInt32BE(from + 1))
    return typeof reader === 'string' ? reader : reader(bytes, from + headerBytes, to, slots)
  }
