import { listAnomaly } from '@flasktoria/contracts/anomaly-listing'
import { statusOf, type AnomalyCatalogue, type SensorCatalogue } from '@flasktoria/contracts/catalogue'
import type { AnomalyUpdate, SensorStatus } from '@flasktoria/contracts/updates'
import type { Draft } from '@flasktoria/live-log/log'
import { createHash } from 'node:crypto'
import type { RawRecord } from './record-source.ts'
import type { Anomaly, Fact, Fix, Reading } from './validate.ts'

export type Catalogues = { sensors: SensorCatalogue; anomalies: AnomalyCatalogue }

/** Turns what a record says into the update that the browser gets. The JSON is written here, once, and never again. */
export function createTransform({ sensors, anomalies }: Catalogues) {
  const ranged = new Map(
    sensors.filter(({ low, high }) => low !== undefined || high !== undefined).map((sensor) => [sensor.id, sensor]),
  )
  const anomalyById = new Map(anomalies.map((anomaly) => [anomaly.id, anomaly]))

  const readingDraft = (reading: Reading): Draft => {
    const { vehicle, sensor, ts: eventTs, value } = reading
    const draft: Draft = { kind: 'sensordata', vehicle, sensor, eventTs, json: sensordataJson(reading) }
    const known = ranged.get(sensor)
    if (known && value !== null) draft.statusJson = sensorstatusJson(vehicle, sensor, statusOf(known, value))
    return draft
  }

  const anomalyDraft = (anomaly: Anomaly, raw: RawRecord): Draft => {
    const listing = listAnomaly({ ...anomaly, timestamp: anomaly.ts }, anomalyById.get(anomaly.anomalyId))
    const update: AnomalyUpdate = { update_type: 'anomaly', ...listing }
    const { vehicle, sensor, ts: eventTs } = anomaly
    return { kind: 'anomaly', vehicle, sensor, eventTs, json: JSON.stringify(update), id: recordId(raw) }
  }

  return (fact: Fact, raw: RawRecord): Draft => {
    if (fact.kind === 'reading') return readingDraft(fact)
    if (fact.kind === 'fix') return fixDraft(fact)
    return anomalyDraft(fact, raw)
  }
}

const fixDraft = ({ vehicle, ts, lat, long }: Fix): Draft => ({
  kind: 'position',
  vehicle,
  sensor: '',
  eventTs: ts,
  json: `{"update_type":"position","vehicle_id":${JSON.stringify(vehicle)},"lat":${lat},"long":${long},"timestamp":${ts}}`,
})

const sensordataJson = ({ vehicle, sensor, ts, value, text }: Reading): string => {
  const values = value === null ? '' : `{"timestamp":${ts},"value":${value}}`
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
