import { z } from 'zod'

/** The Avro schemas of the two topics, as the producers write them. Bare binary, no registry framing. */
const avroRecord = (name: string, fields: Record<string, 'long' | 'int' | 'string'>) => ({
  type: 'record' as const,
  name,
  fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
})

export const sensorAvro = avroRecord('sensorRecord', {
  timestamp: 'long',
  sensor_group: 'string',
  sensor: 'string',
  uuid: 'string',
  value: 'string',
  src: 'string',
})

/** The older producer: no `src`, and the time as text `yyyy-MM-dd HH:mm:ss`. */
export const sensorV5Avro = avroRecord('sensorRecord', {
  timestamp: 'string',
  sensor_group: 'string',
  sensor: 'string',
  uuid: 'string',
  value: 'string',
})

export const anomalyAvro = avroRecord('anomalyRecord', {
  timestamp: 'long',
  detection_time: 'string',
  confirmation_time: 'string',
  sensor_group: 'string',
  sensor: 'string',
  uuid: 'string',
  anomaly_id: 'int',
  rootCause: 'string',
  recommendation: 'string',
  src: 'string',
})

export const sensorRecordSchema = z
  .object({
    timestamp: z.int().meta({ description: 'Epoch milliseconds.' }),
    sensor_group: z.string(),
    sensor: z.string(),
    uuid: z.string(),
    value: z
      .string()
      .meta({ description: '`<label>: 12.3`, or `<label>: [<lat>,<long>]` for sensor `gps_coordinates`.' }),
    src: z.string(),
  })
  .meta({ id: 'SensorRecord' })
export type SensorRecord = z.infer<typeof sensorRecordSchema>

export const sensorV5RecordSchema = sensorRecordSchema
  .omit({ src: true })
  .extend({ timestamp: z.string().meta({ description: '`yyyy-MM-dd HH:mm:ss`' }) })
  .meta({ id: 'SensorV5Record' })
export type SensorV5Record = z.infer<typeof sensorV5RecordSchema>

export const anomalyRecordSchema = z
  .object({
    timestamp: z.int(),
    detection_time: z.string(),
    confirmation_time: z.string(),
    sensor_group: z.string(),
    sensor: z.string(),
    uuid: z.string(),
    anomaly_id: z.int(),
    rootCause: z.string(),
    recommendation: z.string(),
    src: z.string(),
  })
  .meta({ id: 'AnomalyRecord' })
export type AnomalyRecord = z.infer<typeof anomalyRecordSchema>

/** The sensor whose value is a position. */
export const positionSensor = 'gps_coordinates'
