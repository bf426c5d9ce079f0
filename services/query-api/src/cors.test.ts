import { expect, test } from 'vitest'
import { readOrigins } from './cors.ts'
import { createTestApp } from './test-app.ts'

const headersFor = async (origins: string, origin: string, method = 'GET') =>
  (
    await createTestApp({ origins: readOrigins(origins) }).app.request('/api/map', {
      method,
      headers: { Origin: origin },
    })
  ).headers

test('only listed origins may read, with the cookie of their browser', async () => {
  const listed = 'https://fleet.example.com, http://localhost:5173'
  for (const origin of ['https://fleet.example.com', 'http://localhost:5173']) {
    const headers = await headersFor(listed, origin)
    expect(headers.get('Access-Control-Allow-Origin')).toBe(origin)
    expect(headers.get('Access-Control-Allow-Credentials')).toBe('true')
  }
  for (const origin of ['https://fleet.example.com.evil', 'https://evil.example', 'null', 'http://localhost', '']) {
    const headers = await headersFor(listed, origin)
    expect(headers.get('Access-Control-Allow-Origin'), origin).toBe(null)
    expect(headers.get('Vary'), origin).toContain('Origin')
  }
})

test('a page may see the headers that tell it when and how to come back', async () => {
  const exposed = (await headersFor('*', 'https://a.example')).get('Access-Control-Expose-Headers')
  for (const name of ['ETag', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id', 'Preference-Applied'])
    expect(exposed?.split(', ')).toContain(name)
})

test('a browser that has asked need not ask again for two hours', async () => {
  expect((await headersFor('*', 'https://a.example', 'OPTIONS')).get('Access-Control-Max-Age')).toBe('7200')
  expect((await headersFor('https://b.example', 'https://a.example', 'OPTIONS')).get('Access-Control-Max-Age')).toBe(
    null,
  )
})

test.for(['', 'fleet.example.com', 'https://fleet.example.com/', 'https://a.example,*', 'https://a.example/path'])(
  'an origin that no browser would send is a mistake of the configuration: %j',
  (text) => {
    expect(() => readOrigins(text)).toThrow('is no origin')
  },
)
