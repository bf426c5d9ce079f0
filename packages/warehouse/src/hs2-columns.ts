import { isAscii } from 'node:buffer'
import { fixedSize, thriftType } from './hs2-thrift-types.ts'
import { WarehouseError, type Cell } from './warehouse.ts'

export type Hs2Status = {
  statusCode?: number | undefined
  sqlState?: string | undefined
  errorMessage?: string | undefined
}

/** One answer to FetchResults. Columns stand at their position, whatever their names. */
export type FetchedRows = { status: Hs2Status; hasMoreRows: boolean; rowCount: number; columns: Cell[][] }

const maxDepth = 64

/** Reads values of Thrift's binary protocol. Every size is checked against what is there before anything is made of it. */
class ThriftReader {
  readonly bytes: Buffer
  readonly view: DataView
  position: number

  constructor(bytes: Buffer, position: number) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }

  byte = (): number => this.view.getUint8(this.take(1))
  i16 = (): number => this.view.getInt16(this.take(2))
  i32 = (): number => this.view.getInt32(this.take(4))
  text = (): string => {
    const size = this.i32()
    const start = this.take(size)
    return this.bytes.toString('utf8', start, start + size)
  }
  binary = (): Buffer => {
    const size = this.i32()
    const start = this.take(size)
    return this.bytes.subarray(start, start + size)
  }

  /** Claims the next `size` bytes and returns where they start. */
  take(size: number): number {
    const start = this.position
    if (size < 0 || start + size > this.bytes.length) throw malformed('it ends inside a value')
    this.position = start + size
    return start
  }

  /** The head of a list whose elements take at least `minimumBytes` each. */
  list(minimumBytes: number): number {
    this.byte()
    const count = this.i32()
    if (count < 0 || count * minimumBytes > this.bytes.length - this.position)
      throw malformed('it has a list that is longer than itself')
    return count
  }

  /** Calls `field` for each field; what it doesn't read is skipped. */
  struct(field: (id: number, type: number) => boolean, depth = 0): void {
    for (;;) {
      const type = this.byte()
      if (type === thriftType.stop) return
      const id = this.i16()
      if (!field(id, type)) this.skip(type, depth + 1)
    }
  }

  skip(type: number, depth: number): void {
    if (depth > maxDepth) throw malformed('it is nested too deep')
    const size = fixedSize[type]!
    if (size > 0) this.take(size)
    else if (type === thriftType.string) this.take(this.i32())
    else if (type === thriftType.struct) this.struct(() => false, depth)
    else if (type === thriftType.list || type === thriftType.set) {
      const elementType = this.byte()
      for (let count = this.i32(); count > 0; count--) this.skip(elementType, depth + 1)
    } else if (type === thriftType.map) {
      const keyType = this.byte()
      const valueType = this.byte()
      for (let count = this.i32(); count > 0; count--) {
        this.skip(keyType, depth + 1)
        this.skip(valueType, depth + 1)
      }
    } else throw malformed(`${type} is no type`)
  }
}

type ReadValues = (reader: ThriftReader) => Cell[]

const fixedValues =
  (size: number, read: (view: DataView, at: number) => Cell): ReadValues =>
  (reader) => {
    const count = reader.list(size)
    const start = reader.take(count * size)
    const values: Cell[] = []
    for (let index = 0; index < count; index++) values.push(read(reader.view, start + index * size))
    return values
  }

const readI64 = (view: DataView, at: number): number | bigint => {
  const value = view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4)
  return Number.isSafeInteger(value) ? value : view.getBigInt64(at)
}

/**
 * Nearly all of an answer is text, and nearly all text is ASCII: then one string is made of a whole column, lengths and all,
 * and the values are slices of it, at a third of the cost.
 */
const readTexts: ReadValues = (reader) => {
  const count = reader.list(4)
  const { bytes, position: first } = reader
  const ends = readEnds(bytes, first, count)
  reader.position = count === 0 ? first : ends[count - 1]!
  const all = bytes.subarray(first, reader.position)
  const text = isAscii(all) ? all.toString('latin1') : undefined
  const values: Cell[] = []
  let start = first + 4
  for (let index = 0; index < count; index++) {
    const end = ends[index]!
    values.push(text === undefined ? bytes.toString('utf8', start, end) : text.slice(start - first, end - first))
    start = end + 4
  }
  return values
}

/** Where each of some texts ends that stand behind one another, each with its length in front. */
function readEnds(bytes: Buffer, first: number, count: number): Int32Array {
  const ends = new Int32Array(count)
  let at = first
  for (let index = 0; index < count; index++) {
    const size = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    at += 4 + size
    if (size < 0 || at > bytes.length) throw malformed('it ends inside a value')
    ends[index] = at
  }
  return ends
}

const readBinaries: ReadValues = (reader) => {
  const count = reader.list(4)
  const values: Cell[] = []
  for (let index = 0; index < count; index++) values.push(reader.binary().toString('hex'))
  return values
}

/** By the field of the union TColumn. */
const readers: Readonly<Record<number, ReadValues>> = {
  1: fixedValues(1, (view, at) => view.getUint8(at) !== 0),
  2: fixedValues(1, (view, at) => view.getInt8(at)),
  3: fixedValues(2, (view, at) => view.getInt16(at)),
  4: fixedValues(4, (view, at) => view.getInt32(at)),
  5: fixedValues(8, readI64),
  6: fixedValues(8, (view, at) => view.getFloat64(at)),
  7: readTexts,
  8: readBinaries,
}

/** Bit i of the bitmap says that value i is null. Servers leave out the zeros at its end. */
function setNulls(values: Cell[], bitmap: Buffer): void {
  for (let byte = 0; byte < bitmap.length; byte++) {
    for (let bits = bitmap[byte]!, index = byte * 8; bits !== 0 && index < values.length; bits >>= 1, index++)
      if (bits & 1) values[index] = null
  }
}

function readColumn(reader: ThriftReader): Cell[] {
  let values: Cell[] | undefined
  let nulls: Buffer | undefined
  reader.struct((kind, kindType) => {
    const read = readers[kind]
    if (!read || kindType !== thriftType.struct) return false
    reader.struct((id, type) => {
      if (id === 1 && type === thriftType.list) values = read(reader)
      else if (id === 2 && type === thriftType.string) nulls = reader.binary()
      else return false
      return true
    })
    return true
  })
  if (!values) throw malformed('it has a column without values')
  if (nulls) setNulls(values, nulls)
  return values
}

function readRows(reader: ThriftReader): Cell[][] {
  const columns: Cell[][] = []
  reader.struct((id, type) => {
    if (id !== 3 || type !== thriftType.list) return false
    for (let count = reader.list(1); count > 0; count--) columns.push(readColumn(reader))
    return true
  })
  if (columns.some((column) => column.length !== columns[0]!.length))
    throw malformed('it has columns of different lengths')
  return columns
}

function readStatus(reader: ThriftReader): Hs2Status {
  const status: Hs2Status = {}
  reader.struct((id, type) => {
    if (id === 1 && type === thriftType.i32) status.statusCode = reader.i32()
    else if (id === 3 && type === thriftType.string) status.sqlState = reader.text()
    else if (id === 5 && type === thriftType.string) status.errorMessage = reader.text()
    else return false
    return true
  })
  return status
}

/**
 * Reads the answer to FetchResults out of a message, from `position` behind its head on. Undefined when it holds none.
 * @throws WarehouseError `unavailable` when it is malformed
 */
export function readFetchedRows(message: Buffer, position: number): FetchedRows | undefined {
  const reader = new ThriftReader(message, position)
  let rows: FetchedRows | undefined
  reader.struct((id, type) => {
    if (id !== 0 || type !== thriftType.struct) return false
    const answer: FetchedRows = { status: {}, hasMoreRows: false, rowCount: 0, columns: [] }
    reader.struct((field, fieldType) => {
      if (field === 1 && fieldType === thriftType.struct) answer.status = readStatus(reader)
      else if (field === 2 && fieldType === thriftType.bool) answer.hasMoreRows = reader.byte() !== 0
      else if (field === 3 && fieldType === thriftType.struct) answer.columns = readRows(reader)
      else return false
      return true
    })
    rows = answer
    return true
  })
  if (rows) rows.rowCount = rows.columns[0]?.length ?? 0
  return rows
}

/** DECIMAL comes as text: a number where the number says the same, a bigint where it has no fraction, else the text. */
export function exactDecimal(text: string): number | bigint | string {
  const short = text.includes('.') ? text.replace(/\.?0+$/, '') : text
  const value = Number(short)
  if (String(value) === short && (Number.isSafeInteger(value) || !Number.isInteger(value))) return value
  return /^-?\d+$/.test(short) ? BigInt(short) : text
}

const malformed = (reason: string) =>
  new WarehouseError('unavailable', `the server answered rows that can't be read: ${reason}`)
