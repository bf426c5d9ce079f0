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
