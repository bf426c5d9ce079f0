/** What kinds of records a fleet writes; each goes to a topic of its own. */
export const streams = ['sensor', 'sensor-v5', 'anomaly'] as const
export type Stream = (typeof streams)[number]
export const [sensorStream, sensorV5Stream, anomalyStream] = [0, 1, 2] as const

/**
 * Records as bytes, one behind the other in one buffer, and what Kafka wants to know of each in columns: no object a record.
 * The buffer grows, and is never used again for other records.
 */
export class RecordBatch {
  count = 0
  bytes: Buffer
  #ends: Uint32Array
  #streams: Uint8Array
  #vehicles: Uint32Array
  #times: Float64Array

  constructor(bytes = 16 * 1_024, records = 256) {
    this.bytes = Buffer.allocUnsafeSlow(bytes)
    this.#ends = new Uint32Array(records)
    this.#streams = new Uint8Array(records)
    this.#vehicles = new Uint32Array(records)
    this.#times = new Float64Array(records)
  }

  /** An empty one, with as much room as this one needed. */
  next(): RecordBatch {
    return new RecordBatch(this.bytes.length, this.#ends.length)
  }

  /** Where the next record begins, with room for so many bytes behind it. */
  reserve(bytes: number): number {
    const begin = this.size
    if (begin + bytes > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, begin + bytes))
      this.bytes.copy(larger, 0, 0, begin)
      this.bytes = larger
    }
    return begin
  }

  /** The record that ends there is complete. `time` is what Kafka is told. */
  push(end: number, stream: number, vehicle: number, time: number): void {
    if (this.count === this.#ends.length) this.#growColumns()
    this.#ends[this.count] = end
    this.#streams[this.count] = stream
    this.#vehicles[this.count] = vehicle
    this.#times[this.count] = time
    this.count += 1
  }

  get size(): number {
    return this.#begin(this.count)
  }

  /** No copy. */
  value(record: number): Buffer {
    return this.bytes.subarray(this.#begin(record), this.#ends[record])
  }

  stream(record: number): number {
    return this.#streams[record]!
  }

  vehicle(record: number): number {
    return this.#vehicles[record]!
  }

  time(record: number): number {
    return this.#times[record]!
  }

  #begin(record: number): number {
    return record === 0 ? 0 : this.#ends[record - 1]!
  }

  #growColumns(): void {
    const records = this.#ends.length * 2
    this.#ends = copied(this.#ends, new Uint32Array(records))
    this.#streams = copied(this.#streams, new Uint8Array(records))
    this.#vehicles = copied(this.#vehicles, new Uint32Array(records))
    this.#times = copied(this.#times, new Float64Array(records))
  }
}

function copied<Column extends Uint8Array | Uint32Array | Float64Array>(column: Column, larger: Column): Column {
  larger.set(column)
  return larger
}
