import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { passwordOf, startSecuredKafka, type SecuredKafka } from '../../../tools/servers/kafka-secured.ts'
import { sensorProfile } from './built-in-profiles.ts'
import type { KafkaAccess } from './kafka-client.ts'
import { collector, listeningLogger, numbered, openTestbed, rule, type Testbed } from './kafka-testbed.ts'

const eventually = { timeout: 20_000, interval: 50 }
const dir = mkdtempSync(join(tmpdir(), 'flasktoria-secured-'))
let kafka: SecuredKafka
let bed: Testbed
let topic: string
let group: string

beforeAll(async () => {
  kafka = await startSecuredKafka(dir)
  bed = await openTestbed([kafka.url])
})
beforeEach(async () => {
  topic = await bed.createTopic(bed.fresh('raw'))
  group = bed.fresh('group')
  await bed.producer.send({ topic, messages: numbered(0, 3) })
})
afterEach(() => bed.stopAll())
afterAll(async () => {
  await bed.close()
  await kafka.kill()
  rmSync(dir, { recursive: true, force: true })
})

type Right = { type: 'TOPIC' | 'GROUP'; name: string; operation: 'READ' | 'DESCRIBE' }
const allow = (user: string, ...rights: Right[]) =>
  bed.admin.createAcls({
    acl: rights.map(({ type, name, operation }) => ({
      principal: `User:${user}`,
      host: '*',
      resourceType: AclResourceTypes[type],
      resourceName: name,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      operation: AclOperationTypes[operation],
      permissionType: AclPermissionTypes.ALLOW,
    })),
  })
const allowAll = (user: string) =>
  allow(user, { type: 'TOPIC', name: topic, operation: 'READ' }, { type: 'GROUP', name: group, operation: 'READ' })

const login = (mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512', password = passwordOf('reader')) => ({
  mechanism,
  username: 'reader',
  password,
})

/** What comes through this door. */
const consumeThrough = (access: Partial<KafkaAccess>, start: 'latest' | 'earliest' = 'earliest') => {
  const { lines, logger } = listeningLogger()
  const { records, consumer } = collector()
  const run = bed.consume(consumer, { topics: [rule(sensorProfile, topic)], group, start, ...access }, { logger })
  return { ...run, records, lines }
}
/** A source that ends by itself: its error. */
const refusalOf = async (access: Partial<KafkaAccess>, start?: 'latest' | 'earliest') => {
  const { ended } = consumeThrough(access, start)
  bed.running.clear()
  return ended.then(
    () => 'it ended without an error',
    (error: Error) => error.message,
  )
}

describe('TLS', () => {
  test('the brokers of a private authority are read', async () => {
    const { records } = consumeThrough({ brokers: [kafka.tls], tls: { ca: kafka.ca } })
    await expect.poll(() => records.length, eventually).toBe(3)
  })

  test('the brokers that know their clients by certificates give what the one of ours may read', async () => {
    await allowAll('CN=reader')
    const { key, certificate: cert } = kafka.client
    const { records } = consumeThrough({ brokers: [kafka.mutualTls], tls: { ca: kafka.ca, cert, key } })
    await expect.poll(() => records.length, eventually).toBe(3)
  })

  test.each([
    [
      'brokers that want a certificate are told from others',
      () => ({ brokers: [kafka.mutualTls], tls: { ca: kafka.ca } }),
      'KAFKA_TLS_CERT',
    ],
    ['brokers that nobody vouches for are told from others', () => ({ brokers: [kafka.tls], tls: {} }), 'KAFKA_TLS_CA'],
    [
      'TLS at a port without it is said so',
      () => ({ brokers: [kafka.url], tls: { ca: kafka.ca } }),
      'This port does not speak TLS',
    ],
    ['a port with TLS is not taken for a silent one', () => ({ brokers: [kafka.tls] }), 'KAFKA_TLS or'],
    ['a port that wants a log-in is told', () => ({ brokers: [kafka.sasl] }), 'KAFKA_SASL_MECHANISM is not set'],
  ])('%s, where readiness is asked for, too', async (_name, access, hint) => {
    const { source, lines } = consumeThrough(access())
    await expect.poll(() => source.state().failing, eventually).toContain(hint)
    expect(lines.join('\n')).toContain(hint)
  })
})

describe('log-in', () => {
  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('%s, with and without TLS', async (mechanism) => {
    await allowAll('reader')
    const bare = consumeThrough({ brokers: [kafka.sasl], sasl: login(mechanism) })
    await expect.poll(() => bare.records.length, eventually).toBe(3)
    await bare.stop()
    await bed.producer.send({ topic, messages: numbered(3, 5) })
    const inside = consumeThrough({ brokers: [kafka.saslTls], tls: { ca: kafka.ca }, sasl: login(mechanism) })
    await expect.poll(() => inside.records.length, eventually).toBe(2)
  })

  test('a wrong password ends the source, with a hint', async () => {
    const sasl = login('scram-sha-512', 'wrong')
    expect(await refusalOf({ brokers: [kafka.sasl], sasl })).toContain('the user and the password right?')
  })

  test('a log-in where nobody wants one ends the source, with a hint', async () => {
    expect(await refusalOf({ brokers: [kafka.url], sasl: login('plain') })).toContain('This port wants no log-in')
  })
})

/** An issuer of tokens for the user `reader`, as the broker's validator of unsigned tokens takes them. */
async function startIssuer(lifetimeSeconds: number) {
  let isAway = false
  const asked: string[] = []
  const part = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url')
  const tokenOf = (now: number) =>
    `${part({ alg: 'none' })}.${part({ sub: 'reader', iat: now, exp: now + lifetimeSeconds })}.`
  const server = createServer((request, response) => {
    asked.push(String(request.headers.authorization))
    if (isAway) return response.writeHead(503).end()
    response.writeHead(200, { 'content-type': 'application/json' })
    const now = Math.floor(Date.now() / 1_000)
    return response.end(
      JSON.stringify({ access_token: tokenOf(now), expires_in: lifetimeSeconds, token_type: 'Bearer' }),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    sasl: {
      mechanism: 'oauthbearer' as const,
      tokenUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
      clientId: 'ingest',
      clientSecret: 'secret',
    },
    asked,
    goAway: (away: boolean) => void (isAway = away),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('OAUTHBEARER', () => {
  test('one token opens all connections', async () => {
    await allowAll('reader')
    await using issuer = await startIssuer(600)
    const { records } = consumeThrough({ brokers: [kafka.saslTls], tls: { ca: kafka.ca }, sasl: issuer.sasl })
    await expect.poll(() => records.length, eventually).toBe(3)
    // One for who asks, one for the member.
    expect(issuer.asked.length).toBeLessThanOrEqual(2)
    expect(issuer.asked[0]).toBe(`Basic ${Buffer.from('ingest:secret').toString('base64')}`)
  })

  test('a connection outlives its token, because another is fetched before', async () => {
    await allowAll('reader')
    // kafkajs logs in again ten seconds before the end: each second.
    await using issuer = await startIssuer(11)
    const { records, source } = consumeThrough({ brokers: [kafka.sasl], sasl: issuer.sasl })
    await expect.poll(() => records.length, eventually).toBe(3)
    const before = issuer.asked.length
    await expect.poll(() => issuer.asked.length, eventually).toBeGreaterThan(before + 2)
    await bed.producer.send({ topic, messages: numbered(3, 5) })
    await expect.poll(() => records.length, eventually).toBe(5)
    expect(source.state().failing).toBeUndefined()
  })

  test('an issuer that is away is waited for', async () => {
    await allowAll('reader')
    await using issuer = await startIssuer(600)
    issuer.goAway(true)
    const { records, source } = consumeThrough({ brokers: [kafka.sasl], sasl: issuer.sasl })
    await expect.poll(() => issuer.asked.length, eventually).toBeGreaterThan(3)
    await expect.poll(() => source.state().failing, eventually).toContain('answers 503')
    issuer.goAway(false)
    await expect.poll(() => records.length, eventually).toBe(3)
  })
})

describe('rights', () => {
  const access = () => ({ brokers: [kafka.sasl], sasl: login('scram-sha-256') })

  test('a topic that may not be seen is told from one that is not there, and read when it may be', async () => {
    const { source, records } = consumeThrough(access())
    await expect
      .poll(() => source.state().failing, eventually)
      .toBe(`this user needs DESCRIBE and READ on the topic ${topic}`)
    await allowAll('reader')
    await expect.poll(() => records.length, eventually).toBe(3)
  })

  test.each(['latest', 'earliest'] as const)('a group that may not be used is named (%s)', async (start) => {
    await allow('reader', { type: 'TOPIC', name: topic, operation: 'READ' })
    expect(await refusalOf(access(), start)).toBe(`This user needs READ on the consumer group ${group}.`)
  })

  test('a group that may be seen but not used is named', async () => {
    await allow('reader', { type: 'TOPIC', name: topic, operation: 'READ' })
    await allow('reader', { type: 'GROUP', name: group, operation: 'DESCRIBE' })
    expect(await refusalOf(access())).toBe(`This user needs READ on the consumer group ${group}.`)
  })

  test('a topic that may be seen but not read is named', async () => {
    await allow('reader', { type: 'TOPIC', name: topic, operation: 'DESCRIBE' })
    await allow('reader', { type: 'GROUP', name: group, operation: 'READ' })
    expect(await refusalOf(access())).toBe(`This user needs READ on the topic ${topic}.`)
  })

  test('a pattern that matches nothing may lack rights, and says so', async () => {
    const { consumer } = collector()
    const topics = [rule(sensorProfile, `/${topic}.*/`)]
    const { source } = bed.consume(consumer, { topics, group, ...access() })
    await expect.poll(() => source.state().failing, eventually).toContain('or this user has no right to DESCRIBE it')
  })
})
