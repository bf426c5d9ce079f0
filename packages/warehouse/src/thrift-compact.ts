/**
 * Thrift's compact protocol, as far as the metadata of a Parquet file needs it: fields in ascending order, none with a number
 * above 15 more than the one before it.
 */
export type ThriftValue =
  | { type: 'i32' | 'i64'; value: number }
  | { type: 'binary'; value: string | Uint8Array }
  | { type: 'boolean'; value: boolean }
  | { type: 'struct'; value: ThriftStruct }
  | { type: 'list'; of: 'i32' | 'binary' | 'struct'; value: readonly ThriftValue[] }
/** By field number. */
export type ThriftStruct = Readonly<Record<number, ThriftValue | undefined>>

export const i32 = (value: number): ThriftValue => ({ type: 'i32', value })
export const i64 = (value: number): ThriftValue => ({ type: 'i64', value })
export const binary = (value: string | Uint8Array): ThriftValue => ({ type: 'binary', value })
export const boolean = (value: boolean): ThriftValue => ({ type: 'boolean', value })
export const struct = (value: ThriftStruct): ThriftValue => ({ type: 'struct', value })
export const list = (of: 'i32' | 'binary' | 'struct', value: readonly ThriftValue[]): ThriftValue => ({
  type: 'list',
  of,
  value,
})

const typeCodes = { i32: 5, i64: 6, binary: 8, list: 9, struct: 12 } as const
const typeCode = (value: ThriftValue): number =>
  value.type === 'boolean' ? (value.value ? 1 : 2) : typeCodes[value.type]

/** A number from 0 on, seven bits a byte, the lowest first. */
export function pushVarint(bytes: number[], value: number): void {
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
}

/** Numbers between -2^52 and 2^52. */
const zigzag = (value: number) => (value < 0 ? -2 * value - 1 : 2 * value)

function pushValue(bytes: number[], value: ThriftValue): void {
  switch (value.type) {
    case 'i32':
    case 'i64':
      pushVarint(bytes, zigzag(value.value))
      break
    case 'binary': {
      const content = typeof value.value === 'string' ? Buffer.from(value.value) : value.value
      pushVarint(bytes, content.length)
      for (const byte of content) bytes.push(byte)
      break
    }
    case 'list':
      if (value.value.length < 15) bytes.push((value.value.length << 4) | typeCodes[value.of])
      else {
        bytes.push(0xf0 | typeCodes[value.of])
        pushVarint(bytes, value.value.length)
      }
      for (const item of value.value) pushValue(bytes, item)
      break
    case 'struct':
      pushStruct(bytes, value.value)
      break
    case 'boolean':
      // The type of its field says it all.
      break
  }
}

function pushStruct(bytes: number[], fields: ThriftStruct): void {
  let last = 0
  // Keys that are whole numbers come in ascending order.
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const number = Number(key)
    bytes.push(((number - last) << 4) | typeCode(value))
    pushValue(bytes, value)
    last = number
  }
  bytes.push(0)
}

export function encodeThrift(fields: ThriftStruct): Buffer {
  const bytes: number[] = []
  pushStruct(bytes, fields)
  return Buffer.from(bytes)
}
