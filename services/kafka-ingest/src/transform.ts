import { listAnomaly } from '@flasktoria/contracts/anomaly-listing'
import { heldStatusOf, statusOf, type AnomalyCatalogue, type SensorCatalogue } from '@flasktoria/contracts/catalogue'
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

    /** Of one sensor, the newest one and the numbers that came with it: itself, unless it is a word, and others, by time. */
    readings: (newest: Reading, times: readonly number[], values: readonly number[]): Draft => {
      const { vehicle, sensor, ts: eventTs, value } = newest
      const draft: Draft = { kind: 'sensordata', vehicle, sensor, eventTs, json: sensordataJson(newest, times, values) }
      const known = ranged.get(sensor)
      if (!known || value === null) return draft
      draft.statusJson = sensorstatusJson(vehicle, sensor, statusOf(known, value))
      const held = heldStatusOf(known, value)
      if (held) draft.heldStatusJson = sensorstatusJson(vehicle, sensor, held)
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

/** The values stand newest first. */
function sensordataJson(
  { vehicle, sensor, ts, text }: Reading,
  times: readonly number[],
  values: readonly number[],
): string {
  let list = ''
  for (let index = times.length - 1; index >= 0; index--)
    list += `${list && ','}{"timestamp":${times[index]},"value":${values[index]}}`
  return (
    `{"update_type":"sensordata","vehicle_id":${JSON.stringify(vehicle)},"sensor_id":${JSON.stringify(sensor)},` +
    `"values":[${list}],"value":${JSON.stringify(text)},"timestamp":${ts}}`
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
