import { oldFields } from './profile-spec.ts'
import { compileProfile } from './profile.ts'
import type { TopicProfile } from './topic-profile.ts'

/** The two producers of the old system, and its anomalies: bare Avro of schemas that never changed. */
const noFile = (path: string): never => {
  throw new Error(`${path}: built-in profiles name no file`)
}

export const sensorProfile: TopicProfile = compileProfile(
  { name: 'sensor', kind: 'sensor', payload: { form: 'avro', schema: 'sensor' } },
  noFile,
)

/** The older producer, whose times are text, of `zone`. */
export const sensorV5Profile = (zone: string): TopicProfile =>
  compileProfile(
    {
      name: 'sensor-v5',
      kind: 'sensor',
      payload: { form: 'avro', schema: 'sensor-v5' },
      fields: { ...oldFields.sensor, time: { field: ['timestamp'], as: 'text', zone } },
    },
    noFile,
  )

export const anomalyProfile: TopicProfile = compileProfile(
  { name: 'anomaly', kind: 'anomaly', payload: { form: 'avro', schema: 'anomaly' } },
  noFile,
)
