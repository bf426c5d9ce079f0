import { pushVarint } from './thrift-compact.ts'

/** Bit-packed and run-length encoded numbers below `2 ** width`, in Parquet's hybrid of both: whichever is shorter here. */
export function packNumbers(numbers: Uint16Array, width: number): Buffer {
  let runs = 1
  for (let index = 1; index < numbers.length; index++) if (numbers[index] !== numbers[index - 1]) runs += 1
  return runs * 32 < numbers.length * width ? runLengths(numbers, width) : bitPacked(numbers, width)
}

function runLengths(numbers: Uint16Array, width: number): Buffer {
  const bytes: number[] = []
  for (let start = 0, end = 0; start < numbers.length; start = end) {
    const number = numbers[start]!
    while (end < numbers.length && numbers[end] === number) end += 1
    pushVarint(bytes, (end - start) * 2)
    bytes.push(number & 0xff)
    if (width > 8) bytes.push(number >> 8)
  }
  return Buffer.from(bytes)
}

function bitPacked(numbers: Uint16Array, width: number): Buffer {
  const groups = Math.ceil(numbers.length / 8)
  const head: number[] = []
  pushVarint(head, groups * 2 + 1)
  const bytes = Buffer.alloc(head.length + groups * width)
  bytes.set(head)
  let at = head.length
  let bits = 0
  let count = 0
  for (const number of numbers) {
    bits |= number << count
    for (count += width; count >= 8; count -= 8) {
      bytes[at++] = bits & 0xff
      bits >>>= 8
    }
  }
  if (count > 0) bytes[at] = bits
  return bytes
}

/** Each text behind its length, four bytes, the lowest first. */
export function plainTexts(texts: readonly string[]): Buffer {
  let capacity = 0
  for (const text of texts) capacity += 4 + 3 * text.length
  const bytes = Buffer.allocUnsafe(capacity)
  let at = 0
  for (const text of texts) {
    const length = writeText(bytes, at + 4, text)
    bytes.writeUInt32LE(length, at)
    at += 4 + length
  }
  return bytes.subarray(0, at)
}

/** UTF-8, and its length; a call into the engine for each short text would cost several times more. */
function writeText(bytes: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0x7f) return bytes.write(text, at)
    bytes[at + index] = code
  }
  return text.length
}

export const plainDoubles = (numbers: Float64Array): Buffer =>
  Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength)

export const plainIntegers = (numbers: Float64Array): Buffer => Buffer.from(Int32Array.from(numbers).buffer)

/** Safe integers as 64 bits. */
export function plainBigints(numbers: Float64Array): Buffer {
  const halves = new Uint32Array(numbers.length * 2)
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]!
    const high = Math.floor(number / 2 ** 32)
    halves[index * 2] = number - high * 2 ** 32
    halves[index * 2 + 1] = high
  }
  return Buffer.from(halves.buffer)
}
