import {
  anomalyAvro,
  sensorAvro,
  sensorV5Avro,
  type AnomalyRecord,
  type SensorRecord,
  type SensorV5Record,
} from '@flasktoria/contracts/records'
import avro from 'avsc'

const writer = <T>(schema: typeof sensorAvro) => {
  const type = avro.Type.forSchema(schema)
  return (record: T): Buffer => type.toBuffer(record)
}

/** The bytes as the producers write them. @throws on a record that its schema does not know */
export const encodeRecord = {
  sensor: writer<SensorRecord>(sensorAvro),
  'sensor-v5': writer<SensorV5Record>(sensorV5Avro),
  anomaly: writer<AnomalyRecord>(anomalyAvro),
}
