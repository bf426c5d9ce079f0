import { fixedSize, thriftType } from './hs2-thrift-types.ts'
import { WarehouseError } from './warehouse.ts'

const maxDepth = 64
const maxNameBytes = 1024
const inStruct = -1

/**
 * Finds where a message of Thrift's strict binary protocol ends, while its bytes are still coming in: each byte is looked at
 * once, however many chunks it takes. (hive-driver parses the whole message anew with each chunk.)
 *
 * Lists, sets and maps are one kind of level: `remaining` values, of which those at an even count are of the first type
 * and those at an odd count of the second. So a map of n entries has 2n values, and a list has the same type twice.
 */
export class MessageScanner {
  readonly #maxBytes: number
  readonly #remaining = new Float64Array(maxDepth)
  readonly #first = new Uint8Array(maxDepth)
  readonly #second = new Uint8Array(maxDepth)
  #depth = 0
  #position = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * Looks on where it stopped. `bytes` starts with the message and holds `length` bytes so far.
   * Returns the length of the message once it is complete, and is then ready for the next one.
   * @throws WarehouseError `unavailable` when it is no message, `too_large` when it says that it will be
   */
  scan(bytes: Buffer, length: number): number | undefined {
    if (this.#position === 0 && !this.#enterMessage(bytes, length)) return undefined
    while (this.#depth > 0) if (!this.#step(bytes, length)) return undefined
    const end = this.#position
    this.#position = 0
    return end
  }

  #enterMessage(bytes: Buffer, length: number): boolean {
    if (length < 8) return false
    if (bytes.readUInt16BE(0) !== 0x8001)
      throw noMessage('it starts with other bytes; the port may be another one, or want TLS or a login')
    const nameBytes = bytes.readInt32BE(4)
    if (nameBytes < 0 || nameBytes > maxNameBytes) throw noMessage('the name of its method is too long')
    if (!this.#advance(8 + nameBytes + 4, length)) return false
    this.#enter(inStruct, 0, 0)
    return true
  }

  #step(bytes: Buffer, length: number): boolean {
    const level = this.#depth - 1
    const remaining = this.#remaining[level]!
    if (remaining === inStruct) return this.#stepField(bytes, length)
    if (remaining === 0) {
      this.#depth--
      return true
    }
    const type = remaining % 2 === 0 ? this.#first[level]! : this.#second[level]!
    if (type === thriftType.string && this.#first[level] === this.#second[level])
      return this.#skipStrings(bytes, length, level)
    if (!this.#skipValue(bytes, length, this.#position, type)) return false
    this.#remaining[level] = remaining - 1
    return true
  }

  #stepField(bytes: Buffer, length: number): boolean {
    const at = this.#position
    if (at >= length) return false
    const type = bytes[at]!
    if (type !== thriftType.stop) return this.#skipValue(bytes, length, at + 3, type)
    this.#position = at + 1
    this.#depth--
    return true
  }

  /** Nearly all bytes of an answer are lists of strings. */
  #skipStrings(bytes: Buffer, length: number, level: number): boolean {
    let at = this.#position
    let remaining = this.#remaining[level]!
    while (remaining > 0 && at + 4 <= length) {
      const size = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
      this.#checkClaim(at, size)
      if (at + 4 + size > length) break
      at += 4 + size
      remaining--
    }
    this.#position = at
    this.#remaining[level] = remaining
    return remaining === 0
  }

  #skipValue(bytes: Buffer, length: number, at: number, type: number): boolean {
    const size = fixedSize[type]!
    if (size > 0) return this.#advance(at + size, length)
    switch (type) {
      case thriftType.string: {
        if (at + 4 > length) return false
        const stringBytes = bytes.readInt32BE(at)
        this.#checkClaim(at, stringBytes)
        return this.#advance(at + 4 + stringBytes, length)
      }
      case thriftType.struct: {
        return this.#advance(at, length) && this.#enter(inStruct, 0, 0)
      }
      case thriftType.list:
      case thriftType.set: {
        if (at + 5 > length) return false
        const elementType = bytes[at]!
        const count = bytes.readInt32BE(at + 1)
        const elementBytes = fixedSize[elementType]!
        this.#checkClaim(at, count * Math.max(elementBytes, 1))
        if (elementBytes > 0) return this.#advance(at + 5 + count * elementBytes, length)
        return this.#advance(at + 5, length) && this.#enter(count, elementType, elementType)
      }
      case thriftType.map: {
        if (at + 6 > length) return false
        const count = bytes.readInt32BE(at + 2)
        this.#checkClaim(at, count * 2)
        return this.#advance(at + 6, length) && this.#enter(count * 2, bytes[at]!, bytes[at + 1]!)
      }
      default: {
        throw noMessage(`${type} is no type`)
      }
    }
  }

  #advance(to: number, length: number): boolean {
    if (to > length) return false
    this.#position = to
    return true
  }

  #enter(remaining: number, first: number, second: number): true {
    if (this.#depth === maxDepth) throw noMessage('it is nested too deep')
    this.#remaining[this.#depth] = remaining
    this.#first[this.#depth] = first
    this.#second[this.#depth] = second
    this.#depth++
    return true
  }

  #checkClaim(at: number, claimedBytes: number): void {
    if (claimedBytes < 0) throw noMessage('it has a negative size')
    if (at + claimedBytes > this.#maxBytes) throw messageTooLarge(this.#maxBytes)
  }
}

export const messageTooLarge = (maxBytes: number) =>
  new WarehouseError('too_large', `the server answered more than ${maxBytes} bytes in one message`)

const noMessage = (reason: string) =>
  new WarehouseError('unavailable', `the server answered what is no HiveServer2 message: ${reason}`)
