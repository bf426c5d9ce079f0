import { malformed } from './decode.ts'

const twoTo28 = 2 ** 28
const maxVarintBytes = 10

/**
 * Texts that come again and again, with their bytes: a hash table of one entry a place, whoever comes later to a place takes it.
 * Bytes are compared with bytes, for V8 has a dozen kinds of strings, and looks which one it is at each character.
 */
const maxRecurringBytes = 40
const places = 16_384
const recurringTexts = Array.from({ length: places }, () => '')
const recurringLengths = new Uint8Array(places)
const recurringBytes = new Uint8Array(places * maxRecurringBytes)

function recurring(bytes: Buffer, from: number, length: number): string {
  let hash = length
  for (let index = from; index < from + length; index++) hash = (Math.imul(hash, 31) + bytes[index]!) | 0
  const place = (hash ^ (hash >>> 15)) & (places - 1)
  const at = place * maxRecurringBytes
  if (recurringLengths[place] === length && isSame(at, bytes, from, length)) return recurringTexts[place]!
  const text = bytes.toString('utf8', from, from + length)
  recurringTexts[place] = text
  recurringLengths[place] = length
  recurringBytes.set(bytes.subarray(from, from + length), at)
  return text
}

function isSame(at: number, bytes: Buffer, from: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (recurringBytes[at + index] !== bytes[from + index]) return false
  return true
}

/** A place in some bytes that never leaves them: whatever goes beyond the end is malformed, at once. */
export class Cursor {
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  end = 0
  /** Where wanted fields go. */
  slots: unknown[] = []

  begin(bytes: Buffer, from: number, to: number, slots: unknown[]): void {
    this.bytes = bytes
    this.at = from
    this.end = to
    this.slots = slots
  }

  byte(): number {
    if (this.at >= this.end) throw malformed
    return this.bytes[this.at++]!
  }

  /** An unsigned varint. What a double cannot hold exactly is malformed: no length, time or number of ours is so large. */
  varint(): number {
    let byte = this.byte()
    if (byte < 0x80) return byte
    let low = byte & 0x7f
    for (let shift = 7; shift < 28; shift += 7) {
      byte = this.byte()
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) return low
    }
    let high = 0
    for (let shift = 0; shift < 28; shift += 7) {
      byte = this.byte()
      high |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (high >= 2 ** 25) throw malformed
        return high * twoTo28 + low
      }
    }
    throw malformed
  }

  /** A signed varint, zigzag. */
  long(): number {
    const coded = this.varint()
    return coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2
  }

  skipVarint(): void {
    for (let count = 0; count < maxVarintBytes; count++) if (this.byte() < 0x80) return
    throw malformed
  }

  skip(length: number): void {
    if (length < 0 || length > this.end - this.at) throw malformed
    this.at += length
  }

  text(length: number): string {
    const from = this.at
    this.skip(length)
    return this.bytes.toString('utf8', from, this.at)
  }

  /** A text that comes again and again: mostly found, not made, and then the very same string. */
  recurringText(length: number): string {
    const from = this.at
    this.skip(length)
    return length > maxRecurringBytes ? this.bytes.toString('utf8', from, this.at) : recurring(this.bytes, from, length)
  }

  float(): number {
    this.skip(4)
    return this.bytes.readFloatLE(this.at - 4)
  }

  double(): number {
    this.skip(8)
    return this.bytes.readDoubleLE(this.at - 8)
  }
}
