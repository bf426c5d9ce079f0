import { fixedSize, thriftType as types } from './hs2-thrift-types.ts'

// Thrift's binary protocol from the other side, written without the library so that both can be wrong about each other.

export type Encoded = { type: number; bytes: Buffer }

const fixed = (type: number, write: (bytes: Buffer) => void): Encoded => {
  const bytes = Buffer.alloc(fixedSize[type]!)
  write(bytes)
  return { type, bytes }
}
const int32 = (value: number): Buffer => i32(value).bytes

export const bool = (value: boolean): Encoded => fixed(types.bool, (bytes) => bytes.writeInt8(Number(value)))
export const byte = (value: number): Encoded => fixed(types.byte, (bytes) => bytes.writeInt8(value))
export const i16 = (value: number): Encoded => fixed(types.i16, (bytes) => bytes.writeInt16BE(value))
export const i32 = (value: number): Encoded => fixed(types.i32, (bytes) => bytes.writeInt32BE(value))
export const i64 = (value: bigint): Encoded => fixed(types.i64, (bytes) => bytes.writeBigInt64BE(value))
export const double = (value: number): Encoded => fixed(types.double, (bytes) => bytes.writeDoubleBE(value))

export function text(value: string | Buffer): Encoded {
  const bytes = Buffer.from(value as string)
  return { type: types.string, bytes: Buffer.concat([int32(bytes.length), bytes]) }
}

export function struct(fields: Readonly<Record<number, Encoded | undefined>>): Encoded {
  const parts = Object.entries(fields).flatMap(([id, field]) =>
    field ? [Buffer.from([field.type]), i16(Number(id)).bytes, field.bytes] : [],
  )
  return { type: types.struct, bytes: Buffer.concat([...parts, Buffer.from([types.stop])]) }
}

export function list(elementType: number, elements: readonly Encoded[]): Encoded {
  const head = Buffer.concat([Buffer.from([elementType]), int32(elements.length)])
  return { type: types.list, bytes: Buffer.concat([head, ...elements.map(({ bytes }) => bytes)]) }
}

export function map(keyType: number, valueType: number, entries: readonly (readonly [Encoded, Encoded])[]): Encoded {
  const head = Buffer.concat([Buffer.from([keyType, valueType]), int32(entries.length)])
  return { type: types.map, bytes: Buffer.concat([head, ...entries.flat().map(({ bytes }) => bytes)]) }
}

/** Message types. */
export const messageType = { call: 1, reply: 2, exception: 3 } as const

export const message = (type: number, name: string, seqId: number, body: Encoded): Buffer =>
  Buffer.concat([Buffer.from([0x80, 0x01, 0, type]), text(name).bytes, int32(seqId), body.bytes])

/** Structs come as Maps by the number of the field, strings as Buffers but for the keys of maps. */
export type Decoded = boolean | number | bigint | Buffer | Decoded[] | Map<unknown, Decoded>
export type Call = { name: string; seqId: number; fields: Map<unknown, Decoded>; end: number }

/** The first message in the bytes, or undefined when it isn't complete. */
export function readCall(bytes: Buffer): Call | undefined {
  try {
    const reader = new Reader(bytes)
    reader.number(4)
    const name = reader.text()
    const seqId = reader.number(4)
    return { name, seqId, fields: reader.value(types.struct) as Map<unknown, Decoded>, end: reader.position }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

class Reader {
  readonly bytes: Buffer
  position = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  take(size: number): Buffer {
    const end = this.position + size
    if (size < 0 || end > this.bytes.length) throw new RangeError('incomplete')
    const taken = this.bytes.subarray(this.position, end)
    this.position = end
    return taken
  }

  number = (size: number): number => this.take(size).readIntBE(0, size)

  text = (): string => this.take(this.number(4)).toString()

  value(type: number): Decoded {
    switch (type) {
      case types.bool: {
        return this.number(1) !== 0
      }
      case types.byte:
      case types.i16:
      case types.i32: {
        return this.number(fixedSize[type]!)
      }
      case types.i64: {
        return this.take(8).readBigInt64BE()
      }
      case types.double: {
        return this.take(8).readDoubleBE()
      }
      case types.string: {
        return Buffer.from(this.take(this.number(4)))
      }
      case types.struct: {
        const fields = new Map<unknown, Decoded>()
        for (let field = this.number(1); field !== types.stop; field = this.number(1))
          fields.set(this.number(2), this.value(field))
        return fields
      }
      case types.map: {
        const [keyType, valueType, size] = [this.number(1), this.number(1), this.number(4)]
        return new Map(
          Array.from({ length: size }, () => [
            keyType === types.string ? this.text() : this.value(keyType),
            this.value(valueType),
          ]),
        )
      }
      default: {
        const [elementType, size] = [this.number(1), this.number(4)]
        return Array.from({ length: size }, () => this.value(elementType))
      }
    }
  }
}
