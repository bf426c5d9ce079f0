import avro, { type Type } from 'avsc'
import type { Mapping } from './profile-mapping.ts'
import type { DecodeFailure } from './topic-profile.ts'

const confluentMagic = 0x00
const openingBrace = 0x7b
/** `yyyy-MM-dd HH:mm:ss` is 19 characters; Avro writes lengths zigzag. */
const textTimeLength = 19 << 1

export const isConfluent = (bytes: Buffer, from: number, to: number): boolean =>
  bytes[from] === confluentMagic && to - from > 5
export const isSingleObject = (bytes: Buffer, from: number, to: number): boolean =>
  bytes[from] === 0xc3 && to - from > 1 && bytes[from + 1] === 0x01

/** Which other framing a value plainly has. */
export function otherFraming(bytes: Buffer, from: number, to: number): DecodeFailure | undefined {
  if (isConfluent(bytes, from, to)) return 'confluent_framing'
  if (isSingleObject(bytes, from, to)) return 'single_object_framing'
  if (bytes[from] === openingBrace) return 'json_text'
  return undefined
}

export type Guard = (bytes: Buffer, from: number, to: number) => DecodeFailure | undefined

/**
 * Refuses values that are plainly written in another form than their topic's; some of them would decode all the same. No
 * record of the right form is refused, so that it depends on what the schema begins with: a time in milliseconds is a varint
 * of several bytes (its first byte has the high bit set and its second is no end), and no length or branch is negative (odd).
 */
export function avroGuard(record: avro.types.RecordType, { wanted, time }: Mapping): Guard {
  const { type, path } = firstLeaf(record)
  const isTime = path === time.path.join('.')
  const isVehicle = wanted.some((one) => one.name === 'vehicle' && one.path.join('.') === path)
  const isNeverZero = (isTime || isVehicle) && !isUnion(type)
  const isNeverOdd = isNeverZero || isUnion(type) || ['string', 'bytes', 'enum'].includes(type.typeName)
  const isTextTime = isTime && time.isText
  const isLongTime = isTime && !time.isText && type.typeName === 'long'
  return (bytes, from, to) => {
    const first = bytes[from]!
    if (isNeverZero && isConfluent(bytes, from, to)) return 'confluent_framing'
    if (isNeverOdd && isSingleObject(bytes, from, to)) return 'single_object_framing'
    if (isNeverOdd && first === openingBrace) return 'json_text'
    if (isTextTime ? first >= 0x80 : isLongTime && first === textTimeLength) return 'other_producer'
    return undefined
  }
}

const isUnion = (type: Type) =>
  type instanceof avro.types.UnwrappedUnionType || type instanceof avro.types.WrappedUnionType

/** Where a record's first bytes come from. */
function firstLeaf(record: avro.types.RecordType): { type: Type; path: string } {
  const path: string[] = []
  let type: Type = record
  while (type instanceof avro.types.RecordType && type.fields[0]) {
    path.push(type.fields[0].name)
    type = type.fields[0].type
    if (type instanceof avro.types.LogicalType) type = type.underlyingType
  }
  return { type, path: path.join('.') }
}
