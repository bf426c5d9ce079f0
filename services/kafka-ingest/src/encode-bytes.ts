/** Writes Avro's few forms one behind the other. Whoever uses it sees to it that there is room. */
export class AvroBytes {
  buffer: Buffer
  at: number

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer
    this.at = at
  }

  /** Zigzag, seven bits a byte. A whole number from 0 on, below 2^52. */
  long(value: number): void {
    let rest = value * 2
    while (rest >= 0x80) {
      this.buffer[this.at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.at++] = rest
  }

  /** As they are, without a length. */
  raw(bytes: Uint8Array): void {
    // A loop: for a few bytes it costs less than a call of `set`.
    for (let index = 0; index < bytes.length; index++) this.buffer[this.at++] = bytes[index]!
  }

  /** As `toFixed` writes it, but for halves: they go up. */
  decimal(value: number, decimals: number): void {
    if (!Number.isFinite(value)) return this.ascii(String(value))
    const scale = scales[decimals]!
    const scaled = Math.round(Math.abs(value) * scale)
    if (value < 0 && scaled > 0) this.buffer[this.at++] = 0x2d
    const whole = Math.floor(scaled / scale)
    this.#digits(whole, digitsOf(whole))
    if (decimals === 0) return
    this.buffer[this.at++] = 0x2e
    this.#digits(scaled - whole * scale, decimals)
  }

  ascii(text: string): void {
    for (let index = 0; index < text.length; index++) this.buffer[this.at++] = text.charCodeAt(index)
  }

  #digits(number: number, digits: number): void {
    let rest = number
    for (let place = this.at + digits - 1; place >= this.at; place--) {
      const tenth = Math.floor(rest / 10)
      this.buffer[place] = 0x30 + rest - tenth * 10
      rest = tenth
    }
    this.at += digits
  }
}

const scales = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]

function digitsOf(number: number): number {
  let digits = 1
  for (let bound = 10; number >= bound; bound *= 10) digits += 1
  return digits
}

/** A text with its length before it. */
export function avroText(text: string): Buffer {
  const content = Buffer.from(text)
  const bytes = new AvroBytes(Buffer.alloc(content.length + 10))
  bytes.long(content.length)
  bytes.raw(content)
  return bytes.buffer.subarray(0, bytes.at)
}
