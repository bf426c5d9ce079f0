/** Type ids of Thrift's binary protocol. */
export const thriftType = {
  stop: 0,
  bool: 2,
  byte: 3,
  double: 4,
  i16: 6,
  i32: 8,
  i64: 10,
  string: 11,
  struct: 12,
  map: 13,
  set: 14,
  list: 15,
  uuid: 16,
} as const

/** Bytes of a value whose type has a fixed size; 0 for the others. */
export const fixedSize: readonly number[] = Object.assign(Array.from<number>({ length: 256 }).fill(0), {
  [thriftType.bool]: 1,
  [thriftType.byte]: 1,
  [thriftType.double]: 8,
  [thriftType.i16]: 2,
  [thriftType.i32]: 4,
  [thriftType.i64]: 8,
  [thriftType.uuid]: 16,
})
