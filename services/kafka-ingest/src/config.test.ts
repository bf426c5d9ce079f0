import { readConfig } from '@flasktoria/service-kit/config'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { anomalyProfile, sensorProfile } from './built-in-profiles.ts'
import { configSchema, kafkaAccess, optionNames, simulateOptionNames, simulateSchema, topicRules } from './config.ts'

const read = (environment: Record<string, string>) => readConfig(configSchema, environment, optionNames)

test('without any environment it is Kafka, with the topics of the old system', () => {
  const config = read({})
  if (config.SOURCE !== 'kafka') throw new Error('another source')
  expect(topicRules(config)).toMatchObject([
    { profile: sensorProfile, names: ['clb.demo.depa.raw'], patterns: [] },
    { profile: { name: 'sensor-v5' }, names: [], patterns: [] },
    { profile: anomalyProfile, names: ['clb.demo.ml.anomaly'], patterns: [] },
  ])
  expect(kafkaAccess(config)).toEqual({ brokers: ['127.0.0.1:9092'], tls: undefined, sasl: undefined })
  expect(config).toMatchObject({ KAFKA_GROUP: 'flasktoria', KAFKA_START: 'latest', EARLIEST_TIME: 946_684_800_000 })
})

const authority = '-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----'

const privateKey = '-----BEGIN EC PRIVATE KEY-----\n…\n-----END EC PRIVATE KEY-----'

test('TLS and SASL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  writeFileSync(join(folder, 'password'), 'secret\n')
  const config = read({
    KAFKA_BROKERS: 'a:1, [::1]:2',
    KAFKA_TLS: 'true',
    KAFKA_TLS_CA: authority,
    KAFKA_TLS_CERT: authority,
    KAFKA_TLS_KEY: privateKey,
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'me',
    KAFKA_SASL_PASSWORD_FILE: join(folder, 'password'),
  })
  if (config.SOURCE !== 'kafka') throw new Error('another source')
  expect(kafkaAccess(config)).toEqual({
    brokers: ['a:1', '[::1]:2'],
    tls: { ca: authority, cert: authority, key: privateKey },
    sasl: { mechanism: 'scram-sha-512', username: 'me', password: 'secret' },
  })
})

test('a mechanism is understood as Java writes it, and tokens have an issuer', () => {
  const config = read({
    KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
    KAFKA_OAUTH_TOKEN_URL: 'https://issuer.example/token',
    KAFKA_OAUTH_CLIENT_ID: 'me',
    KAFKA_OAUTH_CLIENT_SECRET: 'secret',
    KAFKA_OAUTH_SCOPE: 'kafka',
  })
  if (config.SOURCE !== 'kafka') throw new Error('another source')
  expect(kafkaAccess(config).sasl).toEqual({
    mechanism: 'oauthbearer',
    tokenUrl: 'https://issuer.example/token',
    clientId: 'me',
    clientSecret: 'secret',
    scope: 'kafka',
  })
})

test.each([
  [{ KAFKA_SASL_MECHANISM: 'plain' }, 'KAFKA_SASL_USERNAME: is missing'],
  [
    { KAFKA_SASL_MECHANISM: 'GSSAPI' },
    'KAFKA_SASL_MECHANISM: is gssapi, which the Kafka client of this service does not have',
  ],
  [{ KAFKA_SASL_MECHANISM: 'GSSAPI' }, 'Ask who runs the brokers for a listener with scram-sha-512 or oauthbearer'],
  [{ KAFKA_SASL_MECHANISM: 'ntlm' }, 'KAFKA_SASL_MECHANISM'],
  [{ KAFKA_SASL_MECHANISM: 'oauthbearer' }, 'KAFKA_OAUTH_TOKEN_URL: is missing'],
  [{ KAFKA_TLS: 'true', KAFKA_TLS_CA: '/etc/ca.pem' }, 'the path of a file belongs into KAFKA_TLS_CA_FILE'],
  [{ KAFKA_TLS_CA: authority }, 'KAFKA_TLS: is not set'],
  [{ KAFKA_TLS: 'true', KAFKA_TLS_CERT: authority }, 'KAFKA_TLS_CERT: and KAFKA_TLS_KEY belong together'],
  [{ KAFKA_TLS: 'true', KAFKA_TLS_KEY: '-----BEGIN ENCRYPTED PRIVATE KEY-----' }, 'no unencrypted private key'],
  [{ KAFKA_BROKERS: 'kafka://x' }, 'KAFKA_BROKERS: is no comma separated list'],
  [{ SENSOR_TOPICS: 'a b' }, 'SENSOR_TOPICS: "a b" is neither'],
  [{ SENSOR_TOPICS: 'a', ANOMALY_TOPICS: 'a' }, 'topic a has several profiles'],
  [{ SOURCE: 'recording' }, 'RECORDING_FILE: is missing'],
  [{ SOURCE: 'recording', RECORDING_FILE: 'x', RECORDING_SPEED: '0' }, 'RECORDING_SPEED'],
  [{ SOURCE: 'other' }, 'SOURCE'],
  [{ TEXT_TIME_ZONE: 'Mars/Olympus' }, 'TEXT_TIME_ZONE: is no time zone'],
  [{ EARLIEST_TIME: 'yesterday' }, 'EARLIEST_TIME'],
  [{ SENSORS_FILE: '/nowhere' }, 'SENSORS_FILE: ENOENT'],
  [{ REDIS_URL: 'http://x' }, 'REDIS_URL'],
  [{ HS2_URL: 'http://x' }, 'HS2_URL'],
  [{ STALE_MIN_MS: '400000' }, 'STALE_MIN_MS: is more than STALE_MAX_MS'],
  [{ STALE_MIN_MS: '70000' }, 'STALE_MIN_MS: is more than OFFLINE_MIN_MS'],
  [{ OFFLINE_MAX_MS: '200000' }, 'STALE_MAX_MS: is more than OFFLINE_MAX_MS'],
])('%o is a mistake', (environment, message) => {
  expect(() => read(environment)).toThrow(message)
})

test('a catalogue of the site', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  const path = join(folder, 'sensors.json')
  writeFileSync(path, JSON.stringify([{ id: 's', name: 'S', unit: '', low: 1 }]))
  expect(read({ SENSORS_FILE: path }).SENSORS_FILE).toEqual([{ id: 's', name: 'S', unit: '', low: 1 }])
  writeFileSync(path, '[{"id":1}]')
  expect(() => read({ SENSORS_FILE: path })).toThrow('SENSORS_FILE')
})

test('the program that writes a simulated fleet reads the same options', () => {
  const config = readConfig(simulateSchema, { SIMULATOR_VEHICLES: '7', SENSOR_TOPICS: 'a' }, simulateOptionNames)
  expect(config).toMatchObject({ SIMULATOR_VEHICLES: 7, SENSOR_TOPICS: { names: ['a'] } })
})
