import { z } from 'zod'

/** The words of TOPICS_FILE. What a schema file says is checked when the profile is compiled. */

const path = z
  .string()
  .regex(/^[^.\s]+(?:\.[^.\s]+)*$/, 'is no name of a field, such as speed or engine.speed')
  .transform((text) => text.split('.'))
  .meta({ description: 'Name of a field; dots lead into nested records.' })

/** A choice that stands in two keys, of which exactly one is there: a union would not say what is wrong. */
const exactlyOne =
  (...names: [string, string, ...string[]]) =>
  (value: object, context: z.RefinementCtx): void => {
    const given = names.filter((name) => (value as Record<string, unknown>)[name] !== undefined)
    if (given.length === 0) context.addIssue({ code: 'custom', message: `needs one of ${names.join(', ')}` })
    else if (given.length > 1)
      context.addIssue({ code: 'custom', message: `has ${given.join(' and ')}: two sources for one thing` })
  }

const source = z
  .strictObject({ field: path.optional(), constant: z.string().max(4_096).optional() })
  .superRefine(exactlyOne('field', 'constant'))
export type SourceSpec = z.output<typeof source>

const time = z.strictObject({
  field: path,
  as: z.enum(['ms', 'seconds', 'text']).default('ms'),
  zone: z.string().optional().meta({ description: 'Of a text that names no offset itself; by default UTC.' }),
})
export type TimeSpec = z.output<typeof time>

const text = z.enum(['labelled', 'text'])
const value = z.strictObject({ field: path, as: z.enum([...text.options, 'number']).default('labelled') })

const position = z
  .strictObject({
    sensor: z.string().min(1).optional(),
    field: path.optional(),
    as: text.optional(),
    lat: path.optional(),
    long: path.optional(),
  })
  .superRefine((spec, context) => {
    exactlyOne('field', 'lat')(spec, context)
    if ((spec.lat === undefined) !== (spec.long === undefined))
      context.addIssue({ code: 'custom', message: 'needs both lat and long' })
    if (spec.field === undefined && spec.as !== undefined)
      context.addIssue({ code: 'custom', message: 'as: says how a text is written; lat and long are numbers' })
  })

const sensorFields = z
  .strictObject({
    vehicle: source.default({ field: ['uuid'] }),
    sensor: source.optional(),
    time: time.default({ field: ['timestamp'], as: 'ms' }),
    value: value.optional(),
    position: position.optional(),
  })
  .superRefine(({ sensor, value: reading, position: place }, context) => {
    const complain = (message: string) => context.addIssue({ code: 'custom', message })
    if (!reading && !place) complain('needs a value, a position, or both')
    if (reading && !sensor) complain('sensor: is missing; it says what the value is of')
    if (!reading && place && sensor) complain('sensor: says nothing where every record is a position')
    if (!reading && place?.sensor !== undefined) complain('position.sensor: says nothing without a value')
    if (reading && place && sensor?.constant !== undefined)
      complain('sensor: is constant, so that value and position are two sources for one reading')
  })
export type SensorFieldsSpec = z.output<typeof sensorFields>

const anomalyFields = z.strictObject({
  vehicle: source.default({ field: ['uuid'] }),
  sensor: source.default({ field: ['sensor'] }),
  time: time.default({ field: ['timestamp'], as: 'ms' }),
  anomalyId: z.strictObject({ field: path }).default({ field: ['anomaly_id'] }),
  detectionTime: source.default({ field: ['detection_time'] }),
  confirmationTime: source.default({ field: ['confirmation_time'] }),
  rootCause: source.default({ field: ['rootCause'] }),
  recommendation: source.default({ field: ['recommendation'] }),
})
export type AnomalyFieldsSpec = z.output<typeof anomalyFields>

const file = z.string().min(1)

const registry = z
  .strictObject({
    url: z.url({ protocol: /^https?$/ }),
    username: z.string().min(1).optional(),
    passwordFile: file.optional(),
    tokenFile: file.optional(),
    /** Their newest schemas are checked at the start. */
    subjects: z.array(z.string().min(1)).default([]),
    timeoutMs: z.int().min(100).max(60_000).default(5_000),
  })
  .superRefine(({ username, passwordFile, tokenFile }, context) => {
    if ((username === undefined) !== (passwordFile === undefined))
      context.addIssue({ code: 'custom', message: 'needs username and passwordFile together' })
    if (username !== undefined && tokenFile !== undefined)
      context.addIssue({ code: 'custom', message: 'has username and tokenFile: one way to log in only' })
  })
export type RegistrySpec = z.output<typeof registry>

export const builtInSchemas = ['sensor', 'sensor-v5', 'anomaly'] as const

/** One schema: of either old producer, or of a file. */
const avroSource = { schema: z.enum(builtInSchemas).optional(), schemaFile: file.optional() }

const payload = z.discriminatedUnion('form', [
  z.strictObject({ form: z.literal('avro'), ...avroSource }).superRefine(exactlyOne('schema', 'schemaFile')),
  z
    .strictObject({
      form: z.literal('confluent'),
      registry: registry.optional(),
      schemaFiles: z.record(z.string().regex(/^\d{1,10}$/, 'is no schema id'), file).optional(),
    })
    .superRefine(exactlyOne('registry', 'schemaFiles')),
  z.strictObject({ form: z.literal('single-object'), schemaFiles: z.array(file).min(1) }),
  z.strictObject({ form: z.literal('json') }),
  z.strictObject({ form: z.literal('protobuf'), descriptorFile: file, message: z.string().min(1) }),
])
export type PayloadSpec = z.output<typeof payload>

const envelope = z.strictObject({
  form: z.literal('pnda'),
  fields: z.enum(['source', 'src+host_ip']),
  /** With it the envelope's bytes are checked to the end; without, fields behind rawdata are passed over. */
  schemaFile: file.optional(),
})
export type EnvelopeSpec = z.output<typeof envelope>

const common = {
  name: z.string().regex(/^[\w.-]{1,64}$/, 'is no name of letters, digits, dots and dashes'),
  topics: z.array(z.string().min(1)).min(1),
  envelope: envelope.optional(),
  payload,
}

const profile = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('sensor'), fields: sensorFields.optional() }),
  z.strictObject({ ...common, kind: z.literal('anomaly'), fields: anomalyFields.optional() }),
])
type Untopical<T> = T extends unknown ? Omit<T, 'topics'> : never
/** A profile, whatever the topics are that have it. */
export type ProfileSpec = Untopical<z.output<typeof profile>>

export const topicsFileSchema = z.array(profile).min(1)

/** The fields of the old producers. */
export const oldFields = {
  sensor: sensorFields.parse({ sensor: { field: 'sensor' }, value: { field: 'value' } }),
  anomaly: anomalyFields.parse({}),
}
