import { sensorIdSchema } from '@flasktoria/contracts/identifiers'
import { positionSensor } from '@flasktoria/contracts/records'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Dialect } from './dialect.ts'

const nameSchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'a plain SQL name: letters, digits and underscores')

const timestampSchema = z.strictObject({
  column: nameSchema,
  type: z.enum(['string', 'bigint']).meta({ description: 'Epoch milliseconds, as text or as a number.' }),
})

const daySchema = nameSchema
  .optional()
  .meta({ description: 'The partition column, an INT `yyyymmdd` of the UTC day; absent: not partitioned by day.' })

const rowKeySchema = z
  .strictObject({
    column: nameSchema,
    shards: z.int().min(1).max(256),
  })
  .optional()
  .meta({ description: 'HBase: the row key is `<shard>_<timestamp…>`, and only a range of it is not a full scan.' })

const positionSchema = z
  .discriminatedUnion('form', [
    z.strictObject({ form: z.literal('columns'), sensor: sensorIdSchema, lat: nameSchema, long: nameSchema }),
    z.strictObject({ form: z.literal('labelled'), sensor: sensorIdSchema }),
  ])
  .optional()
  .meta({
    description:
      'The rows that say where a vehicle was: those of one sensor, with two columns in degrees, or with the text `<label>: [<lat>,<long>]` as value; absent: none do.',
  })

export const tableProfileSchema = z.strictObject({
  database: nameSchema.optional().meta({ description: "Absent: the session's own." }),
  sensor: z.strictObject({
    table: nameSchema,
    vehicle: nameSchema,
    sensor: nameSchema,
    timestamp: timestampSchema,
    value: z.strictObject({
      column: nameSchema,
      form: z.enum(['number', 'labelled']).meta({ description: 'A DOUBLE, or the text `<label>: 12.3`.' }),
    }),
    position: positionSchema,
    day: daySchema,
    rowKey: rowKeySchema,
  }),
  anomaly: z.strictObject({
    table: nameSchema,
    vehicle: nameSchema,
    timestamp: timestampSchema,
    anomalyId: nameSchema,
    detectionTime: nameSchema,
    confirmationTime: nameSchema,
    rootCause: nameSchema.optional(),
    recommendation: nameSchema.optional(),
    day: daySchema,
    rowKey: rowKeySchema,
  }),
})

/** How a site's history tables look: everything that SQL has to know of them. */
export type TableProfile = z.infer<typeof tableProfileSchema>
export type TableFacts = TableProfile['sensor'] | TableProfile['anomaly']

/** What our history writer keeps: see history-layout.ts. */
const own: TableProfile = {
  sensor: {
    table: 'sensor_history',
    vehicle: 'uuid',
    sensor: 'sensor',
    timestamp: { column: 'ts', type: 'bigint' },
    value: { column: 'value', form: 'number' },
    position: { form: 'columns', sensor: positionSensor, lat: 'lat', long: 'long' },
    day: 'day',
  },
  anomaly: {
    table: 'anomaly_history',
    vehicle: 'uuid',
    timestamp: { column: 'ts', type: 'bigint' },
    anomalyId: 'anomaly_id',
    detectionTime: 'detection_time',
    confirmationTime: 'confirmation_time',
    rootCause: 'root_cause',
    recommendation: 'recommendation',
    day: 'day',
  },
}

/** What the platform's own jobs kept for the first Flasktoria. */
const legacy: TableProfile = {
  sensor: {
    table: 'sensor',
    vehicle: 'uuid',
    sensor: 'sensor',
    timestamp: { column: 'timestamp', type: 'string' },
    value: { column: 'value', form: 'labelled' },
    position: { form: 'labelled', sensor: positionSensor },
  },
  anomaly: {
    table: 'anomaly',
    vehicle: 'uuid',
    timestamp: { column: 'timestamp', type: 'bigint' },
    anomalyId: 'anomaly_id',
    detectionTime: 'detection_time',
    confirmationTime: 'confirmation_time',
  },
}

export const tableProfiles = { own, legacy } as const

/** @throws when the file is missing, not JSON, or no table profile */
export function readTableProfile(nameOrPath: string): TableProfile {
  if (nameOrPath === 'own' || nameOrPath === 'legacy') return tableProfiles[nameOrPath]
  let content: unknown
  try {
    content = JSON.parse(readFileSync(nameOrPath, 'utf8'))
  } catch (error) {
    throw new Error(`${nameOrPath} is not the path of a JSON file`, { cause: error })
  }
  const result = tableProfileSchema.safeParse(content)
  if (result.success) return result.data
  throw new Error(`${nameOrPath} is no table profile:\n${z.prettifyError(result.error)}`)
}

/** TABLE_PROFILE of a service's environment. */
export const tableProfileOptionSchema = z
  .string()
  .default('own')
  .transform((nameOrPath, context) => {
    try {
      return readTableProfile(nameOrPath)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
      return z.NEVER
    }
  })
  .meta({ description: 'How the history tables look: `own`, `legacy`, or the path of a JSON file.' })

export const tableName = (dialect: Dialect, { database }: TableProfile, { table }: TableFacts): string =>
  database === undefined ? dialect.identifier(table) : `${dialect.identifier(database)}.${dialect.identifier(table)}`

/** To be run in a session before it asks, every few seconds at most: see `Dialect.refresh`. */
export const refreshStatements = (dialect: Dialect, profile: TableProfile): string[] =>
  dialect.refresh === undefined
    ? []
    : [profile.sensor, profile.anomaly].map((table) => dialect.refresh!(tableName(dialect, profile, table)))
