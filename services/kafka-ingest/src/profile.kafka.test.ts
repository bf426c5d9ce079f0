import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import type { Entry } from '@flasktoria/live-log/log'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { Kafka, logLevel } from 'kafkajs'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configSchema, optionNames } from './config.ts'
import { wrapRecord } from './encode.ts'
import { start } from './main.ts'
import { busType, examples, forms } from './test-forms.ts'

const brokers = process.env['KAFKA_BROKERS']
if (!brokers) throw new Error('KAFKA_BROKERS names no Kafka; npm test starts one')

const run = Math.random().toString(36).slice(2, 8)
const topicOf = (form: string) => `forms-${run}.${form}`
const patience = { timeout: 30_000, interval: 50 }
const logger = createLogger('test', 'silent')
const client = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const admin = client.admin()
const producer = client.producer({ allowAutoTopicCreation: false })

/** A registry that is away until somebody says otherwise. */
let isRegistryAway = true
const registry = createServer((request, response) => {
  if (isRegistryAway) return response.writeHead(503).end()
  const body = request.url === '/schemas/ids/9' ? { schema: readFileSync(join(examples, 'bus.avsc'), 'utf8') } : {}
  return response.end(JSON.stringify(body))
})

const busFields = {
  vehicle: { field: 'bus.id' },
  sensor: { field: 'kind' },
  time: { field: 'at' },
  value: { field: 'value', as: 'number' },
}
const schemaFile = join(examples, 'bus.avsc')
const cars = {
  vehicle: { field: 'car.plate' },
  sensor: { field: 'signal' },
  time: { field: 't', as: 'seconds' },
  value: { field: 'v', as: 'number' },
}
const specs: Record<string, object> = {
  bare: { payload: { form: 'avro', schema: 'sensor' } },
  schemaFile: { payload: { form: 'avro', schemaFile }, fields: busFields },
  envelopeSource: { envelope: { form: 'pnda', fields: 'source' }, payload: { form: 'avro', schema: 'sensor' } },
  envelopeHostIp: {
    envelope: { form: 'pnda', fields: 'src+host_ip' },
    payload: { form: 'avro', schemaFile },
    fields: busFields,
  },
  confluent: { payload: { form: 'confluent', schemaFiles: { 7: schemaFile } }, fields: busFields },
  singleObject: { payload: { form: 'single-object', schemaFiles: [schemaFile] }, fields: busFields },
  json: { payload: { form: 'json' }, fields: cars },
  protobuf: {
    payload: { form: 'protobuf', descriptorFile: join(examples, 'fleet.desc'), message: 'fleet.Reading' },
    fields: { ...busFields, vehicle: { field: 'vehicle.id' }, time: { field: 'at_ms' } },
  },
}

beforeAll(async () => {
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve))
  await Promise.all([admin.connect(), producer.connect()])
  const topics = [...Object.keys(specs), 'registry'].map((form) => ({ topic: topicOf(form), numPartitions: 2 }))
  await admin.createTopics({ topics, waitForLeaders: true })
})
afterAll(async () => {
  await admin.deleteTopics({ topics: [...Object.keys(specs), 'registry'].map(topicOf) })
  await Promise.all([admin.disconnect(), producer.disconnect()])
  registry.closeAllConnections()
  registry.close()
})

/** The service with these profiles, and what it appends. */
async function startWith(profiles: Record<string, object>) {
  const path = join(mkdtempSync(join(tmpdir(), 'forms-')), 'topics.json')
  const list = Object.entries(profiles).map(([name, spec]) => ({
    name,
    topics: [topicOf(name)],
    kind: 'sensor',
    ...spec,
  }))
  writeFileSync(path, JSON.stringify(list))
  const environment = {
    KAFKA_BROKERS: brokers!,
    KAFKA_GROUP: `forms-${run}-${Object.keys(profiles).join('-')}`,
    KAFKA_START: 'earliest',
    TOPICS_FILE: path,
    PORT: '0',
  }
  const log = createMemoryLog()
  const entries: Entry[] = []
  await log.follow({ onSnapshot: () => {}, onEntries: (more) => void entries.push(...more) })
  const ingest = await start(readConfig(configSchema, environment, optionNames), { log, logger })
  return { ingest, entries }
}

test('a record of each form, with garbage before and behind, is an update', { timeout: 60_000 }, async () => {
  const { ingest, entries } = await startWith(specs)
  await using _ = ingest
  for (const form of Object.keys(specs)) {
    const others = Object.keys(specs).filter((other) => other !== form)
    const garbage = [null, Buffer.from([0, 1, 2]), ...others.map((other) => forms[other]!.value)]
    const value = renamed(form)
    await producer.send({
      topic: topicOf(form),
      messages: [...garbage, value, ...garbage].map((one) => ({ value: one, partition: 0 })),
    })
  }
  const seen = () => new Set(entries.filter(({ kind }) => kind === 'sensordata').map(({ vehicle }) => vehicle))
  await expect.poll(() => seen().size, patience).toBe(Object.keys(specs).length)
  expect(seen()).toEqual(new Set(Object.keys(specs).map(nameOf)))
})

/** Five letters, as long as `bus-7`: so each form's bytes can be told apart by their vehicle. */
const nameOf = (form: string) => `bus-${Object.keys(specs).indexOf(form)}`
const renamed = (form: string) =>
  Buffer.from(forms[form]!.value.toString('latin1').replace('bus-7', nameOf(form)), 'latin1')

test('records wait for a registry that is away, and come when it is back', { timeout: 60_000 }, async () => {
  const url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`
  const payload = { form: 'confluent', registry: { url, timeoutMs: 500 } }
  isRegistryAway = false
  const { ingest, entries } = await startWith({ registry: { payload, fields: busFields } })
  await using _ = ingest
  const ready = async () => (await fetch(`${ingest.url}/readyz`)).status
  await expect.poll(ready, patience).toBe(200)
  isRegistryAway = true
  const at = Date.now()
  const bus = { meta: {}, bus: { id: 'late', line: null }, kind: 'speed', at, tags: [], previous: null, value: 3 }
  await producer.send({
    topic: topicOf('registry'),
    messages: [{ value: wrapRecord.confluent(busType.toBuffer(bus), 9) }],
  })
  await expect.poll(ready, patience).toBe(503)
  expect(entries).toEqual([])
  isRegistryAway = false
  await expect.poll(() => entries.some(({ vehicle }) => vehicle === 'late'), patience).toBe(true)
  await expect.poll(ready, patience).toBe(200)
})
