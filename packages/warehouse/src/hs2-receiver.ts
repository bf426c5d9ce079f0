import { messageTooLarge, MessageScanner } from './hs2-message-scanner.ts'
import { WarehouseError } from './warehouse.ts'

const initialBytes = 64 * 1024
/** A buffer that grew beyond this for one answer is given back after it. */
const keptBytes = 4 * 1024 * 1024

/** Length of the message that `bytes` starts with, and of the header in front of it, once all of it is there. */
type FindMessage = (bytes: Buffer, length: number) => { start: number; end: number } | undefined

const findBare = (maxBytes: number): FindMessage => {
  const scanner = new MessageScanner(maxBytes)
  return (bytes, length) => {
    const end = scanner.scan(bytes, length)
    return end === undefined ? undefined : { start: 0, end }
  }
}

/** Behind a SASL handshake each message has its length in front. */
const findFramed =
  (maxBytes: number): FindMessage =>
  (bytes, length) => {
    if (length < 4) return undefined
    const size = bytes.readInt32BE(0)
    if (size < 0) throw new WarehouseError('unavailable', 'the server answered a frame of negative length')
    if (size > maxBytes) throw messageTooLarge(maxBytes)
    return length < 4 + size ? undefined : { start: 4, end: 4 + size }
  }

/**
 * Cuts the bytes of a connection into messages. Memory grows with what has come, not with what was announced, and never
 * beyond twice `maxBytes`.
 */
export class MessageReceiver {
  readonly #find: FindMessage
  readonly #maxBytes: number
  readonly #deliver: (message: Buffer) => void
  #buffer = Buffer.allocUnsafeSlow(initialBytes)
  #length = 0

  /** `deliver` gets each message as a view that holds until it returns. */
  constructor(options: { isFramed: boolean; maxBytes: number; deliver: (message: Buffer) => void }) {
    this.#find = options.isFramed ? findFramed(options.maxBytes) : findBare(options.maxBytes)
    this.#maxBytes = options.maxBytes
    this.#deliver = options.deliver
  }

  /** @throws WarehouseError `unavailable` or `too_large`; the connection is of no use then */
  push(chunk: Buffer): void {
    this.#append(chunk)
    while (this.#length > 0) {
      const found = this.#find(this.#buffer, this.#length)
      if (!found) break
      this.#deliver(this.#buffer.subarray(found.start, found.end))
      this.#drop(found.end)
    }
    if (this.#length > this.#maxBytes + 4) throw messageTooLarge(this.#maxBytes)
  }

  #append(chunk: Buffer): void {
    const needed = this.#length + chunk.length
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    chunk.copy(this.#buffer, this.#length)
    this.#length = needed
  }

  #drop(count: number): void {
    const rest = this.#buffer.subarray(count, this.#length)
    if (this.#buffer.length > keptBytes && rest.length <= initialBytes) {
      this.#buffer = Buffer.allocUnsafeSlow(initialBytes)
      rest.copy(this.#buffer)
    } else this.#buffer.copyWithin(0, count, this.#length)
    this.#length = rest.length
  }
}
