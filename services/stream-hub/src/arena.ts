const smallestBytes = 1 << 20

/** Bytes that are written once and then cut into frames. Grows with what it has to hold and shrinks again. */
export class Arena {
  #bytes = Buffer.allocUnsafeSlow(smallestBytes)
  #peakBytes = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  write(text: string): void {
    this.#reserve(text.length * 3)
    this.#length += this.#bytes.write(text, this.#length)
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Appends a copy of a range of itself. */
  copy(start: number, end: number): void {
    this.#reserve(end - start)
    this.#length += this.#bytes.copy(this.#bytes, this.#length, start, end)
  }

  /** Not a copy: it holds until the arena is rewound to before its end. */
  view(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(start, end)
  }

  rewind(length: number): void {
    this.#peakBytes = Math.max(this.#peakBytes, this.#length)
    this.#length = length
    if (length > 0) return
    if (this.#bytes.length > smallestBytes && this.#peakBytes < this.#bytes.length / 8)
      this.#bytes = Buffer.allocUnsafeSlow(this.#bytes.length / 2)
    this.#peakBytes = 0
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    let size = this.#bytes.length
    while (size < this.#length + more) size *= 2
    const larger = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
