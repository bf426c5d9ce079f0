import { listAnomaly } from '@flasktoria/contracts/anomaly-listing'
import { statusOf, type AnomalyCatalogue, type SensorCatalogue } from '@flasktoria/contracts/catalogue'
import type { AnomalyUpdate, SensorStatus } from '@flasktoria/contracts/updates'
import type { Draft } from '@flasktoria/live-log/log'
import { createHash } from 'node:crypto'
import type { RawRecord } from './record-source.ts'
import type { Anomaly, Fix, Reading } from './validate.ts'

export type Catalogues = { sensors: SensorCatalogue; anomalies: AnomalyCatalogue }

/** Turns what records say into the update that the browser gets. The JSON is written here, once, and never again. */
export function createTransform({ sensors, anomalies }: Catalogues) {
  const ranged = new Map(
    sensors.filter(({ low, high }) => low !== undefined || high !== undefined).map((sensor) => [sensor.id, sensor]),
  )
  const anomalyById = new Map(anomalies.map((anomaly) => [anomaly.id, anomaly]))

  return {
    fix: ({ vehicle, ts, lat, long }: Fix): Draft => ({
      kind: 'position',
      vehicle,
      sensor: '',
      eventTs: ts,
      json: `{"update_type":"position","vehicle_id":${JSON.stringify(vehicle)},"lat":${lat},"long":${long},"timestamp":${ts}}`,
    }),

    /** Of one sensor, by time, one at least: the update says the last one, and lists them all. */
    readings: (readings: readonly Reading[]): Draft => {
      const newest = readings.at(-1)!
      const { vehicle, sensor, ts: eventTs, value } = newest
      const draft: Draft = { kind: 'sensordata', vehicle, sensor, eventTs, json: sensordataJson(newest, readings) }
      const known = ranged.get(sensor)
      if (known && value !== null) draft.statusJson = sensorstatusJson(vehicle, sensor, statusOf(known, value))
      return draft
    },

    anomaly: (anomaly: Anomaly, raw: RawRecord): Draft => {
      const listing = listAnomaly({ ...anomaly, timestamp: anomaly.ts }, anomalyById.get(anomaly.anomalyId))
      const update: AnomalyUpdate = { update_type: 'anomaly', ...listing }
      const { vehicle, sensor, ts: eventTs } = anomaly
      return { kind: 'anomaly', vehicle, sensor, eventTs, json: JSON.stringify(update), id: recordId(raw) }
    },
  }
}
export type Transform = ReturnType<typeof createTransform>

const sensordataJson = ({ vehicle, sensor, ts, text }: Reading, readings: readonly Reading[]): string => {
  let values = ''
  // Newest first; a word is none.
  for (let index = readings.length - 1; index >= 0; index--) {
    const { ts: timestamp, value } = readings[index]!
    if (value !== null) values += `${values && ','}{"timestamp":${timestamp},"value":${value}}`
  }
  return (
    `{"update_type":"sensordata","vehicle_id":${JSON.stringify(vehicle)},"sensor_id":${JSON.stringify(sensor)},` +
    `"values":[${values}],"value":${JSON.stringify(text)},"timestamp":${ts}}`
  )
}

const sensorstatusJson = (vehicle: string, sensor: string, status: SensorStatus): string =>
  `{"update_type":"sensorstatus","vehicle_id":${JSON.stringify(vehicle)},"sensor_id":${JSON.stringify(sensor)},"value":"${status}"}`

/** The same for the same record, however often it comes; another when a topic was made anew and counts from 0 again. */
const recordId = ({ topic, partition, offset, value }: RawRecord): string => {
  const hash = createHash('sha256')
    .update(value ?? '')
    .digest('base64url')
  return `${topic}:${partition}:${offset}:${hash.slice(0, 16)}`
}
