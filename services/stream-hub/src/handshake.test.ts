import { describe, expect, test } from 'vitest'
import { clientOf, isOriginAllowed, protocolOf } from './handshake.ts'

const handshake = { query: '', origin: '', cookie: '', protocols: [] as string[] }

describe('the client of a connection', () => {
  test.each([
    ['nobody', '', '', undefined],
    ['the cookie', '', 'flasktoria_client=0123-abc_DEF', '0123-abc_DEF'],
    ['a quoted cookie among others', '', 'a=b; flasktoria_client="01234567";c', '01234567'],
    ['the query', 'client=01234567&x', '', '01234567'],
    ['the query before the cookie', 'client=01234567', 'flasktoria_client=76543210', '01234567'],
    ['the cookie when the query is no id', 'client=%00%00%00%00%00%00%00%00', 'flasktoria_client=76543210', '76543210'],
    ['nobody when both are no ids', 'client=short', 'flasktoria_client=<script>alert', undefined],
    ['nobody when a cookie only looks like it', '', 'xflasktoria_client=01234567', undefined],
    ['nobody when the query is broken', 'client=%E0%A4%A', '', undefined],
  ])('is %s', (_name, query, cookie, client) => {
    expect(clientOf({ ...handshake, query, cookie })).toBe(client)
  })
})

test('a client that offers the sub-protocol among others gets it, everybody else is plain', () => {
  expect(protocolOf({ ...handshake, protocols: ['graphql-ws', 'flasktoria.v2'] })).toBe('v2')
  expect(protocolOf({ ...handshake, protocols: ['flasktoria.v1'] })).toBe('plain')
  expect(protocolOf({ ...handshake, query: 'client=01234567&protocol=flasktoria.v2' })).toBe('v2')
  expect(protocolOf({ ...handshake, query: 'protocol=flasktoria.v1' })).toBe('plain')
  expect(protocolOf(handshake)).toBe('plain')
})

test('any origin may connect unless some are configured; programs always may', () => {
  const from = (origin: string) => ({ ...handshake, origin })
  expect(isOriginAllowed(from('https://a.example'), undefined)).toBe(true)
  expect(isOriginAllowed(from('https://a.example'), ['https://a.example'])).toBe(true)
  expect(isOriginAllowed(from('https://a.example.evil'), ['https://a.example'])).toBe(false)
  expect(isOriginAllowed(from('null'), ['https://a.example'])).toBe(false)
  expect(isOriginAllowed(from(''), ['https://a.example'])).toBe(true)
})
