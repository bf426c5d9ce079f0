import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { positionSensor } from '@flasktoria/contracts/records'
import { encodeRecord } from './encode.ts'
import { AvroBytes, avroText } from './encode-bytes.ts'
import { anomalyStream, RecordBatch, sensorStream, sensorV5Stream } from './simulator-batch.ts'
import { vehicleNames, type FleetListener } from './simulator-fleet.ts'

export const producers = ['sensor', 'sensor-v5', 'both'] as const
export const envelopes = ['none', 'source', 'host-ip'] as const

export type EncoderOptions = {
  vehicles: number
  /** Whose records they look like; `both`: of every second vehicle those of the older one. */
  producer?: (typeof producers)[number]
  /** PNDA's, around every record. */
  envelope?: (typeof envelopes)[number]
}

/** No record of a sensor is longer; anomalies, which are, say how long they are. */
const maxReadingBytes = 256
const maxEnvelopeBytes = 64

const group = avroText('obd')
const src = avroText('simulator')
const envelopeHeads = {
  source: avroText('simulator'),
  'host-ip': Buffer.concat([avroText('simulator'), avroText('192.0.2.1')]),
}
type Sensor = { head: Buffer; label: Buffer }

/** `sensor_group` and `sensor`, and what stands before the value. */
const sensorOf = (id: string, name: string): Sensor => ({
  head: Buffer.concat([group, avroText(id)]),
  label: Buffer.from(`${name}: `),
})
const position = sensorOf(positionSensor, 'GPS')
const sensors = new Map(defaultSensors.map(({ id, name }) => [id, sensorOf(id, name)] as const))
const anomalies = new Map(defaultAnomalies.map((anomaly) => [anomaly.id, anomaly] as const))

/** Writes what a fleet measures as its producers would, into batches. */
export class FleetEncoder implements FleetListener {
  readonly names: readonly string[]
  readonly #ids: readonly Buffer[]
  readonly #isOld: (vehicle: number) => boolean
  readonly #envelopeHead: Buffer | undefined
  readonly #inner = new AvroBytes(Buffer.alloc(0))
  #batch = new RecordBatch()
  #ts = 0
  #time: Uint8Array = longBytes(0)
  #textTime: Uint8Array = longBytes(0)
  #textSecond = NaN
  /** Where the length of the value stands. */
  #lengthAt = 0

  constructor({ vehicles, producer = 'sensor', envelope = 'none' }: EncoderOptions) {
    this.names = vehicleNames(vehicles)
    this.#ids = idBytes(this.names)
    this.#isOld = producer === 'both' ? (vehicle) => vehicle % 2 === 1 : () => producer === 'sensor-v5'
    this.#envelopeHead = envelope === 'none' ? undefined : envelopeHeads[envelope]
  }

  /** What comes next happened then, epoch ms. */
  set ts(ts: number) {
    if (ts === this.#ts) return
    this.#ts = ts
    this.#time = longBytes(ts)
    const second = Math.floor(ts / 1_000)
    if (second !== this.#textSecond) this.#textTime = avroText(timeText(ts))
    this.#textSecond = second
  }

  get ts(): number {
    return this.#ts
  }

  get batch(): RecordBatch {
    return this.#batch
  }

  /** All records since the last time. */
  take(): RecordBatch {
    const batch = this.#batch
    this.#batch = batch.next()
    return batch
  }

  fix(vehicle: number, lat: number, long: number): void {
    const bytes = this.#beginReading(vehicle, position)
    bytes.ascii('[')
    bytes.decimal(lat, 6)
    bytes.ascii(',')
    bytes.decimal(long, 6)
    bytes.ascii(']')
    this.#endReading(vehicle)
  }

  reading(vehicle: number, sensor: string, value: number, decimals: number): void {
    this.#beginReading(vehicle, sensors.get(sensor)!).decimal(value, decimals)
    this.#endReading(vehicle)
  }

  word(vehicle: number, sensor: string, word: string): void {
    this.#beginReading(vehicle, sensors.get(sensor)!).ascii(word)
    this.#endReading(vehicle)
  }

  anomaly(vehicle: number, sensor: string, anomalyId: number): void {
    const known = anomalies.get(anomalyId)
    const record = encodeRecord.anomaly({
      timestamp: this.#ts,
      detection_time: timeText(this.#ts),
      confirmation_time: timeText(this.#ts + 2_000),
      sensor_group: 'obd',
      sensor,
      uuid: this.names[vehicle]!,
      anomaly_id: anomalyId,
      rootCause: known?.cause ?? '',
      recommendation: known?.actions.join('/') ?? '',
      src: 'simulator',
    })
    this.#begin(record.length).raw(record)
    this.#end(vehicle, anomalyStream)
  }

  /** What was encoded already, envelope and all. */
  raw(vehicle: number, stream: number, time: number, record: Uint8Array): void {
    const bytes = this.#begin(record.length)
    bytes.raw(record)
    this.#batch.push(bytes.at, stream, vehicle, time)
  }

  /** The bytes of the last record, to be changed or copied. */
  last(): Buffer {
    return this.#batch.value(this.#batch.count - 1)
  }

  /** Writes the last record again. */
  repeat(): void {
    const last = this.#batch.count - 1
    const record = Buffer.from(this.last())
    this.raw(this.#batch.vehicle(last), this.#batch.stream(last), this.#batch.time(last), record)
  }

  /** Takes the last record out again. */
  withdraw(): { vehicle: number; stream: number; time: number } {
    const last = this.#batch.count - 1
    this.#batch.count = last
    return { vehicle: this.#batch.vehicle(last), stream: this.#batch.stream(last), time: this.#batch.time(last) }
  }

  #beginReading(vehicle: number, { head, label }: Sensor): AvroBytes {
    const bytes = this.#begin(maxReadingBytes)
    bytes.raw(this.#isOld(vehicle) ? this.#textTime : this.#time)
    bytes.raw(head)
    bytes.raw(this.#ids[vehicle]!)
    this.#lengthAt = bytes.at++
    bytes.raw(label)
    return bytes
  }

  /** A value is shorter than 64 bytes, so its length is one. */
  #endReading(vehicle: number): void {
    const bytes = this.#inner
    bytes.buffer[this.#lengthAt] = (bytes.at - this.#lengthAt - 1) * 2
    const isOld = this.#isOld(vehicle)
    if (!isOld) bytes.raw(src)
    this.#end(vehicle, isOld ? sensorV5Stream : sensorStream)
  }

  #begin(bytes: number): AvroBytes {
    const begin = this.#batch.reserve(bytes + maxEnvelopeBytes)
    this.#inner.buffer = this.#batch.bytes
    this.#inner.at = begin
    return this.#inner
  }

  #end(vehicle: number, stream: number): void {
    const begin = this.#batch.size
    if (this.#envelopeHead) this.#wrap(begin, this.#envelopeHead)
    this.#batch.push(this.#inner.at, stream, vehicle, this.#ts)
  }

  /** Moves the record to make room for what goes before it. */
  #wrap(begin: number, head: Uint8Array): void {
    const bytes = this.#inner
    const length = bytes.at - begin
    const before = this.#time.length + head.length + (length < 64 ? 1 : 2)
    bytes.buffer.copyWithin(begin + before, begin, bytes.at)
    bytes.at = begin
    bytes.raw(this.#time)
    bytes.raw(head)
    bytes.long(length)
    bytes.at += length
  }
}

const timeText = (ts: number): string => new Date(ts).toISOString().slice(0, 19).replace('T', ' ')

function longBytes(value: number): Uint8Array {
  const bytes = new AvroBytes(Buffer.alloc(10))
  bytes.long(value)
  return bytes.buffer.subarray(0, bytes.at)
}

/** Of one buffer: a hundred thousand small ones would cost more than their content. */
function idBytes(names: readonly string[]): Buffer[] {
  const texts = names.map((name) => avroText(name))
  const all = Buffer.concat(texts)
  let at = 0
  return texts.map(({ length }) => all.subarray(at, (at += length)))
}
