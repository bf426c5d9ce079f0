import {
  anomalyAvro,
  sensorAvro,
  sensorV5Avro,
  type AnomalyRecord,
  type SensorRecord,
  type SensorV5Record,
} from '@flasktoria/contracts/records'
import avro from 'avsc'

const sensor = avro.Type.forSchema(sensorAvro)
const sensorV5 = avro.Type.forSchema(sensorV5Avro)
const anomaly = avro.Type.forSchema(anomalyAvro)

/** The bytes as the producers write them. @throws on a record that its schema does not know */
export const encodeRecord = {
  sensor: (record: SensorRecord): Buffer => sensor.toBuffer(record),
  'sensor-v5': (record: SensorV5Record): Buffer => sensorV5.toBuffer(record),
  anomaly: (record: AnomalyRecord): Buffer => anomaly.toBuffer(record),
}

const envelope = (...names: string[]) =>
  avro.Type.forSchema({
    type: 'record',
    name: 'event',
    namespace: 'pnda.entity',
    fields: [
      { name: 'timestamp', type: 'long' },
      ...names.map((name) => ({ name, type: 'string' as const })),
      { name: 'rawdata', type: 'bytes' },
    ],
  })
const sourceEnvelope = envelope('source')
const hostIpEnvelope = envelope('src', 'host_ip')

/** What platforms put around a record. */
export const wrapRecord = {
  envelopeSource: (rawdata: Buffer, timestamp: number, source: string): Buffer =>
    sourceEnvelope.toBuffer({ timestamp, source, rawdata }),
  envelopeHostIp: (rawdata: Buffer, timestamp: number, src: string, host: string): Buffer =>
    hostIpEnvelope.toBuffer({ timestamp, src, host_ip: host, rawdata }),
  confluent: (record: Buffer, schemaId: number): Buffer => {
    const header = Buffer.alloc(5)
    header.writeUInt32BE(schemaId, 1)
    return Buffer.concat([header, record])
  },
}
