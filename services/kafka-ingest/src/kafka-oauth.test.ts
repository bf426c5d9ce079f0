import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createTokenSource, TokenError } from './kafka-oauth.ts'

type Asked = { authorization: string | undefined; body: string }
const asked: Asked[] = []
let answer: (response: ServerResponse) => void
const tokens = (lifetimeSeconds?: number) => (response: ServerResponse) =>
  response.end(JSON.stringify({ access_token: `token-${asked.length}`, expires_in: lifetimeSeconds }))
const status = (code: number, body: string) => (response: ServerResponse) => response.writeHead(code).end(body)

const server = createServer((request, response) => {
  const take = async () => {
    asked.push({ authorization: request.headers.authorization, body: await text(request) })
    answer(response)
  }
  void take()
})
let tokenUrl: string
beforeEach(async () => {
  asked.length = 0
  answer = tokens(100)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
})
afterEach(async () => {
  server.closeAllConnections()
  await once(server.close(), 'close')
})

const client = () => ({ tokenUrl, clientId: 'a b', clientSecret: 's:+' })
/** A source of tokens whose clock is ours. */
const sourceAt = (start = 0) => {
  const clock = { now: start }
  return { clock, token: createTokenSource(client(), () => clock.now) }
}
const valueOf = async (token: () => Promise<{ value: string }>) => (await token()).value

test('who asks is named as RFC 6749 has it, with the scope if there is one', async () => {
  await createTokenSource({ ...client(), scope: 'kafka read' })()
  const authorization = `Basic ${Buffer.from('a+b:s%3A%2B').toString('base64')}`
  expect(asked).toEqual([{ authorization, body: 'grant_type=client_credentials&scope=kafka+read' }])
})

test('a token serves until a fifth of its life is left', async () => {
  const { clock, token } = sourceAt()
  expect(await Promise.all([valueOf(token), valueOf(token)])).toEqual(['token-1', 'token-1'])
  clock.now = 79_999
  expect(await valueOf(token)).toBe('token-1')
  clock.now = 80_000
  expect(await valueOf(token)).toBe('token-2')
})

test('of a short life so much has to be left that kafkajs never gets the token that it wants to replace', async () => {
  answer = tokens(20)
  const { clock, token } = sourceAt()
  await token()
  clock.now = 4_999
  expect(await valueOf(token)).toBe('token-1')
  clock.now = 5_000
  expect(await valueOf(token)).toBe('token-2')
})

test('while the issuer is away the old token serves as long as it is good', async () => {
  const { clock, token } = sourceAt()
  await token()
  answer = status(503, '')
  clock.now = 99_999
  expect(await valueOf(token)).toBe('token-1')
  expect(asked).toHaveLength(4)
  clock.now = 100_000
  await expect(token()).rejects.toMatchObject({ retriable: true, message: expect.stringContaining('answers 503') })
  answer = tokens(100)
  expect(await valueOf(token)).toBe(`token-${asked.length}`)
})

test('an issuer that stumbles is asked again at once', async () => {
  const { token } = sourceAt()
  answer = (response) => (asked.length < 3 ? response.destroy() : tokens(100)(response))
  expect(await valueOf(token)).toBe('token-3')
})

test.each([
  [
    401,
    '{"error":"invalid_client","error_description":"no such client"}',
    'answers 401: invalid_client no such client',
  ],
  [400, '<html>', 'answers 400'],
  [302, '', 'does not answer'],
  [200, '<html>', 'without a usable access_token'],
  [200, '{"access_token":"two words"}', 'without a usable access_token'],
])('an answer %i %s is told in a sentence', async (code, body, sentence) => {
  const { token } = sourceAt()
  answer = (response) => response.writeHead(code, { location: 'http://127.0.0.1:1/' }).end(body)
  const error: unknown = await token().catch((failure: unknown) => failure)
  expect(error).toBeInstanceOf(TokenError)
  expect(error).toMatchObject({ message: expect.stringContaining(sentence) })
  expect(String(error)).not.toContain('s:+')
})

test('a refusal is final, and asked for once', async () => {
  answer = status(401, '')
  await expect(sourceAt().token()).rejects.toMatchObject({ retriable: false })
  expect(asked).toHaveLength(1)
})

test('an issuer that keeps the lifetime to itself is asked again after less than a minute', async () => {
  answer = tokens()
  const { clock, token } = sourceAt()
  await token()
  clock.now = 45_000
  expect(await valueOf(token)).toBe('token-2')
})
