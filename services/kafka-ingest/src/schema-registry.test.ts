import { createLogger } from '@flasktoria/service-kit/logger'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { wrapRecord } from './encode.ts'
import type { RawRecord, RecordConsumer, RecordSource } from './record-source.ts'
import { withSchemas } from './source-with-schemas.ts'
import { busType, examples, profileFor } from './test-forms.ts'
import type { Decoded, TopicProfile } from './topic-profile.ts'

const logger = createLogger('test', 'silent')
const soon = { timeout: 20_000, interval: 20 }
const busSchema = readFileSync(join(examples, 'bus.avsc'), 'utf8')
const password = join(mkdtempSync(join(tmpdir(), 'registry-')), 'password')
writeFileSync(password, 'secret\n')
const login = `Basic ${Buffer.from('me:secret').toString('base64')}`

type Reply = (response: ServerResponse) => void
const json =
  (status: number, body: object): Reply =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const notFound = json(404, { error_code: 40_403, message: 'Schema not found' })
const html: Reply = (response) => void response.writeHead(200).end('<html>Log in</html>')
const hang: Reply = () => {}

/** A registry that holds what `replies` says, and counts what it is asked. */
let replies: Record<string, Reply>
let asked: string[]
let wantedLogin: string | undefined
let everything: Reply | undefined
const server = createServer((request, response): void => {
  asked.push(request.url!)
  const isLoggedIn = wantedLogin === undefined || request.headers.authorization === wantedLogin
  const reply = everything ?? (isLoggedIn ? replies[request.url!] : json(401, { error_code: 401 }))
  ;(reply ?? notFound)(response)
})

beforeEach(async () => {
  replies = { '/schemas/types': json(200, ['AVRO']), '/schemas/ids/7': json(200, { schema: busSchema }) }
  asked = []
  wantedLogin = undefined
  everything = undefined
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const profile = (registry: object = {}, spec: object = {}): TopicProfile => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return profileFor(
    {
      payload: { form: 'confluent', registry: { url, timeoutMs: 200, ...registry } },
      fields: {
        vehicle: { field: 'bus.id' },
        sensor: { field: 'kind' },
        time: { field: 'at' },
        value: { field: 'value', as: 'number' },
      },
      ...spec,
    },
    (path) => readFileSync(path),
  )
}

const at = 1_700_000_000_000
const bus = busType.toBuffer({
  meta: {},
  bus: { id: 'bus-7', line: null },
  kind: 'fuel',
  at,
  tags: [],
  previous: null,
  value: 61.5,
})
const frame = (schemaId: number) => wrapRecord.confluent(bus, schemaId)

/** What a consumer reads of these values, behind a source that hands them over at once. */
function consume(topicProfile: TopicProfile, values: readonly (Buffer | null)[]) {
  const read: Decoded[] = []
  const stopping = new AbortController()
  const source: RecordSource = {
    run: async (consumer, signal) => {
      const records = values.map((value, offset): RawRecord => ({
        topic: 't',
        profile: topicProfile,
        partition: 0,
        offset,
        value,
        timestamp: 0,
      }))
      await consumer.accept(records, signal)
    },
    state: () => ({ failing: undefined, lagRecords: 0, lagMs: 0 }),
  }
  const consumer: RecordConsumer = {
    accept: (records) => {
      read.push(...records.map(({ value }) => topicProfile.read(value)))
      return Promise.resolve()
    },
  }
  const waiting = withSchemas(source, [topicProfile], logger)
  return {
    read,
    state: () => waiting.state(),
    ended: waiting.run(consumer, stopping.signal),
    stop: () => stopping.abort(),
  }
}
const reading = { ok: true, kind: 'sensor', vehicle: 'bus-7', sensor: 'fuel', ts: at, value: 61.5 }

test('a schema is fetched once, before the first record that names it is read', async () => {
  const { read, ended } = consume(profile(), [frame(7), frame(7), null, Buffer.from('x'), frame(7)])
  await ended
  expect(read).toEqual([
    reading,
    reading,
    { ok: false, reason: 'tombstone' },
    { ok: false, reason: 'not_framed' },
    reading,
  ])
  expect(asked).toEqual(['/schemas/types', '/schemas/ids/7'])
})

test('in an envelope the schema id is found, too', async () => {
  const enveloped = profile({}, { envelope: { form: 'pnda', fields: 'source' } })
  const { read, ended } = consume(enveloped, [wrapRecord.envelopeSource(frame(7), at, 's')])
  await ended
  expect(read).toEqual([reading])
})

test('a schema that refers to others, which refer to others', async () => {
  const reference = (name: string) => ({ name, subject: name, version: 3 })
  const busWithout = JSON.parse(busSchema) as { fields: { name: string; type: unknown }[] }
  const [inner] = busWithout.fields.filter(({ name }) => name === 'bus').map(({ type }) => type as { fields: object[] })
  const rest = busWithout.fields.map((field) => (field.name === 'bus' ? { ...field, type: 'city.bus.Bus' } : field))
  const line = { type: 'record', name: 'city.bus.Line', fields: [{ name: 'number', type: 'int' }] }
  const bare = { ...inner, namespace: 'city.bus', fields: [inner!.fields[0], { name: 'line', type: ['null', 'int'] }] }
  replies['/schemas/ids/7'] = json(200, {
    schema: JSON.stringify({ ...busWithout, fields: rest }),
    references: [reference('bus')],
  })
  replies['/subjects/bus/versions/3'] = json(200, { schema: JSON.stringify(bare), references: [reference('line')] })
  replies['/subjects/line/versions/3'] = json(200, { schema: JSON.stringify(line), references: [reference('bus')] })
  const { read, ended } = consume(profile(), [frame(7)])
  await ended
  expect(read).toEqual([reading])
})

describe('a record is refused, never guessed', () => {
  test('when the registry has no such schema; nobody asks again soon', async () => {
    const { read, ended } = consume(profile(), [frame(8), frame(8), frame(7)])
    await ended
    const unknown = { ok: false, reason: 'unknown_schema' }
    expect(read).toEqual([unknown, unknown, reading])
    expect(asked.filter((path) => path === '/schemas/ids/8')).toHaveLength(1)
  })

  test.each([
    ['has another type', { schema: 'syntax = "proto3";', schemaType: 'PROTOBUF' }],
    ['lacks a field', { schema: '{"type":"record","name":"R","fields":[{"name":"at","type":"long"}]}' }],
    ['has a field of another type', { schema: busSchema.replace('"double"', '"boolean"') }],
    ['is no record', { schema: '"string"' }],
    ['is no schema', { schema: '{"type":"nonsense"}' }],
    ['is no JSON', { schema: '{' }],
    ['refers to one that is not there', { schema: busSchema, references: [{ name: 'x', subject: 'x', version: 1 }] }],
  ])('when its schema %s', async (_, answer) => {
    replies['/schemas/ids/7'] = json(200, answer)
    const { read, ended } = consume(profile(), [frame(7)])
    await ended
    expect(read).toEqual([{ ok: false, reason: 'unfit_schema' }])
  })

  test('when garbage names schemas without end, of which only some are asked for', async () => {
    const { read, ended } = consume(
      profile(),
      Array.from({ length: 500 }, (_, index) => frame(1_000 + index)),
    )
    await ended
    expect(read).toHaveLength(500)
    expect(new Set(read.map((one) => !one.ok && one.reason))).toEqual(new Set(['unknown_schema']))
    expect(asked.length).toBeLessThan(60)
  })
})

describe('an outage is waited out, and the source says why', () => {
  const outages: [string, Reply, string][] = [
    ['fails', json(500, {}), 'fails (500)'],
    ['hangs', hang, 'does not answer'],
    ['breaks off', (response) => void response.destroy(), 'does not answer'],
    ['answers with a page', html, '200 and no schema'],
    ['answers 404 for another reason', json(404, { error: 'no route' }), '404 and no schema'],
    ['asks to be slow', json(429, {}), '429 and no schema'],
    ['refuses a login that it took before', json(401, {}), 'refuses our login (401)'],
    ['never ends its answer', (response) => void response.writeHead(200).write('x'), 'does not answer'],
    ['answers without end', (response) => void response.end(Buffer.alloc(2_000_000, 'x')), 'does not answer'],
  ]
  test.each(outages)('a registry that %s', async (_, reply, reason) => {
    replies['/schemas/ids/7'] = reply
    const { read, state, ended } = consume(profile(), [frame(7)])
    await expect.poll(() => state().failing, soon).toContain(reason)
    expect(read).toEqual([])
    replies['/schemas/ids/7'] = json(200, { schema: busSchema })
    await ended
    expect(read).toEqual([reading])
    expect(state().failing).toBeUndefined()
  })

  test('also one that is away at the start', async () => {
    everything = json(503, {})
    const { read, state, ended } = consume(profile(), [frame(7)])
    await expect.poll(() => state().failing, soon).toContain('fails (503)')
    everything = undefined
    await ended
    expect(read).toEqual([reading])
  })

  test('and stopping does not wait for it', async () => {
    everything = hang
    const { read, state, ended, stop } = consume(profile(), [frame(7)])
    await expect.poll(() => state().failing, soon).toContain('does not answer')
    stop()
    await ended
    expect(read).toEqual([])
  })
})

describe('a login', () => {
  test.each([
    ['with a password', { username: 'me', passwordFile: password }, login],
    ['with a token', { tokenFile: password }, 'Bearer secret'],
  ])('%s', async (_, registry, header) => {
    wantedLogin = header
    const { read, ended } = consume(profile(registry), [frame(7)])
    await ended
    expect(read).toEqual([reading])
  })

  test('that is refused at the start is a mistake', async () => {
    wantedLogin = 'another'
    const { ended } = consume(profile({ username: 'me', passwordFile: password }), [])
    await expect(ended).rejects.toThrow('profile test: the schema registry refuses our login (401)')
  })
})

describe('subjects are looked at when the service starts', () => {
  const newest = '/subjects/city.bus-value/versions/latest'
  const starting = (): Promise<void> => consume(profile({ subjects: ['city.bus-value'] }), []).ended

  test('one with a schema that fits', async () => {
    replies[newest] = json(200, { schema: busSchema })
    await starting()
    expect(asked).toContain(newest)
  })

  test.each([
    ['that is not there', json(404, { error_code: 40_401 }), 'the schema registry has no subject city.bus-value'],
    [
      'without a field that the mapping names',
      json(200, { schema: busSchema.replace('"at"', '"when"') }),
      'profile test: subject city.bus-value: the schema has no field at (it has meta, bus, kind, when, tags, previous, value)',
    ],
    ['of another type', json(200, { schema: '{}', schemaType: 'JSON' }), 'its type is JSON; only Avro is read'],
  ])('one %s is a mistake', async (_, reply, sentence) => {
    replies[newest] = reply
    await expect(starting()).rejects.toThrow(sentence)
  })
})
