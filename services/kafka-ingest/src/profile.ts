import type { Type } from 'avsc'
import { anomalyAvro, sensorAvro, sensorV5Avro } from '@flasktoria/contracts/records'
import { avroPayload, parseAvroSchema } from './decode-avro.ts'
import { confluentReader } from './decode-confluent.ts'
import { envelopeOf, pndaEnvelope } from './decode-envelope.ts'
import { avroGuard } from './decode-guard.ts'
import { jsonPayload } from './decode-json.ts'
import { protobufPayload } from './decode-protobuf.ts'
import { singleObjectReader } from './decode-single-object.ts'
import { ProfileError, type FieldReader, type Payload } from './decode.ts'
import { anomalyMapping, checkMapping, sensorMapping, type Mapping } from './profile-mapping.ts'
import { oldFields, type builtInSchemas } from './profile-spec.ts'
import type { EnvelopeSpec, PayloadSpec, ProfileSpec, RegistrySpec } from './profile-spec.ts'
import { SchemaRegistry } from './schema-registry.ts'
import { maxRecordBytes, type Decoded, type TopicProfile, type Undecoded } from './topic-profile.ts'
import { RegistrySchemas } from './topic-schemas.ts'

/** The content of a file that a profile names. */
export type ReadFile = (path: string) => Buffer

const tombstone: Undecoded = { ok: false, reason: 'tombstone' }
const oversized: Undecoded = { ok: false, reason: 'oversized' }
const notWellFormed: Undecoded = { ok: false, reason: 'malformed' }

/** Compiles what configuration says of a topic, once. @throws ProfileError with one sentence */
export function compileProfile(spec: ProfileSpec, readFile: ReadFile): TopicProfile {
  try {
    const mapping =
      spec.kind === 'sensor'
        ? sensorMapping(spec.fields ?? oldFields.sensor)
        : anomalyMapping(spec.fields ?? oldFields.anomaly)
    const chain = compileChain(spec, mapping, readFile)
    return profileOf(spec, mapping, chain)
  } catch (error) {
    throw new ProfileError(`profile ${spec.name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

type Chain = { read: FieldReader; schemas?: TopicProfile['schemas'] }

function profileOf({ name, kind }: ProfileSpec, mapping: Mapping, chain: Chain): TopicProfile {
  const { slots, map } = mapping
  const filled = mapping.wanted.map(({ slot }) => slot)
  const { read, schemas } = chain
  return {
    name,
    kind,
    read: (bytes, from = 0, to = bytes?.length ?? 0): Decoded => {
      if (bytes === null) return tombstone
      if (to - from > maxRecordBytes) return oversized
      if (to === from) return notWellFormed
      for (const slot of filled) slots[slot] = undefined
      try {
        const reason = read(bytes, from, to, slots)
        return reason === undefined ? map(slots) : { ok: false, reason }
      } catch {
        return notWellFormed
      }
    },
    ...(schemas && { schemas }),
  }
}

function compileChain(spec: ProfileSpec, mapping: Mapping, readFile: ReadFile): Chain {
  const { envelope, payload } = spec
  const inEnvelope = envelope ? openEnvelope(envelope, readFile) : (inner: FieldReader) => inner
  if (payload.form !== 'confluent') return { read: inEnvelope(localReader(payload, mapping, readFile)) }
  if (!payload.registry) return { read: inEnvelope(localIds(payload.schemaFiles!, mapping, readFile)) }
  const schemas = new RegistrySchemas({
    profile: spec.name,
    registry: openRegistry(payload.registry, readFile),
    subjects: payload.registry.subjects,
    compile: (schema) => checked(schema, mapping),
  })
  return { read: inEnvelope(confluentReader(schemas.readerOf)), schemas: watched(schemas, inEnvelope) }
}

const openEnvelope = ({ fields, schemaFile }: EnvelopeSpec, readFile: ReadFile) =>
  schemaFile === undefined
    ? pndaEnvelope(fields)
    : inFile(schemaFile, () => envelopeOf(avroPayload(schemaOf(schemaFile, readFile)).record, fields))

function openRegistry(spec: RegistrySpec, readFile: ReadFile): SchemaRegistry {
  const { url, timeoutMs, username, passwordFile, tokenFile } = spec
  const secret = (path: string) => readFile(path).toString().trim()
  let authorization: string | undefined
  if (tokenFile !== undefined) authorization = `Bearer ${secret(tokenFile)}`
  else if (passwordFile !== undefined)
    authorization = `Basic ${Buffer.from(`${username}:${secret(passwordFile)}`).toString('base64')}`
  return new SchemaRegistry({ url, authorization, timeoutMs })
}

/** The schemas of a profile as the source asks for them: which of these records need one that nobody has fetched? */
function watched(schemas: RegistrySchemas, inEnvelope: (inner: FieldReader) => FieldReader): TopicProfile['schemas'] {
  const wanting = new Set<number>()
  const look = inEnvelope(
    confluentReader((id) => {
      if (schemas.isUnheardOf(id)) wanting.add(id)
      return 'unknown_schema'
    }),
  )
  const none: unknown[] = []
  return {
    failing: () => schemas.failing(),
    check: (signal, logger) => schemas.check(signal, logger),
    fetch: (id, signal, logger) => schemas.fetch(id, signal, logger),
    unheardOf: (values) => {
      wanting.clear()
      for (const value of values) {
        if (value === null || value.length > maxRecordBytes) continue
        try {
          look(value, 0, value.length, none)
        } catch {
          // Malformed: reading it says so.
        }
      }
      return [...wanting]
    },
  }
}

type LocalPayload = Exclude<PayloadSpec, { form: 'confluent' }>

function localReader(payload: LocalPayload, mapping: Mapping, readFile: ReadFile): FieldReader {
  if (payload.form === 'json') return checked(jsonPayload, mapping)
  if (payload.form === 'protobuf')
    return checked(protobufPayload(readFile(payload.descriptorFile), payload.message), mapping)
  if (payload.form === 'single-object')
    return singleObjectReader(
      payload.schemaFiles.map((path) => {
        const type = schemaOf(path, readFile)
        return { type, reader: inFile(path, () => checked(avroPayload(type), mapping)) }
      }),
    )
  const { schema, schemaFile } = payload
  const avro = avroPayload(schema === undefined ? schemaOf(schemaFile!, readFile) : builtIn[schema])
  const read = checked(avro, mapping)
  const guard = avroGuard(avro.record, mapping)
  return (bytes, from, to, slots) => guard(bytes, from, to) ?? read(bytes, from, to, slots)
}

/** Schema ids that a file of this machine is meant by. */
function localIds(schemaFiles: Record<string, string>, mapping: Mapping, readFile: ReadFile): FieldReader {
  const readers = new Map(
    Object.entries(schemaFiles).map(([id, path]) => [
      Number(id),
      inFile(path, () => checked(avroPayload(schemaOf(path, readFile)), mapping)),
    ]),
  )
  return confluentReader((id) => readers.get(id) ?? 'unknown_schema')
}

function checked(payload: Payload, mapping: Mapping): FieldReader {
  checkMapping(mapping, payload)
  return payload.reader(mapping.wanted)
}

const builtIn: Record<(typeof builtInSchemas)[number], Type> = {
  sensor: parseAvroSchema(JSON.stringify(sensorAvro)),
  'sensor-v5': parseAvroSchema(JSON.stringify(sensorV5Avro)),
  anomaly: parseAvroSchema(JSON.stringify(anomalyAvro)),
}

const schemaOf = (path: string, readFile: ReadFile): Type =>
  inFile(path, () => parseAvroSchema(readFile(path).toString()))

/** Says which of several files a mistake is in. */
function inFile<T>(path: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ProfileError(reason.startsWith(path) ? reason : `${path}: ${reason}`)
  }
}
