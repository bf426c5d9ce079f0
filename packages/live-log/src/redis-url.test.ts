import { expect, test } from 'vitest'
import { checkedRedisUrl, parseRedisUrl } from './redis-url.ts'

test('a Redis by itself is at its host', () => {
  expect(parseRedisUrl('redis://user:secret@redis.example.com:6380/2')).toEqual({
    host: 'redis.example.com',
    port: 6_380,
  })
  expect(parseRedisUrl('rediss://[::1]')).toEqual({ host: '::1', port: 6_379 })
})

test('behind Sentinel the host is the first one, and everything else is for the master', () => {
  const url = 'redis://us%40er:se%2Fcret@one/3?sentinels=two:5000,[::1]:5001,three&master=fleet&sentinelPassword=other'
  expect(parseRedisUrl(url)).toEqual({
    host: 'one',
    port: 26_379,
    master: {
      name: 'fleet',
      sentinels: [
        { host: 'one', port: 26_379 },
        { host: 'two', port: 5_000 },
        { host: '::1', port: 5_001 },
        { host: 'three', port: 26_379 },
      ],
      failoverDetector: true,
      db: 3,
      username: 'us@er',
      password: 'se/cret',
      sentinelPassword: 'other',
    },
  })
})

test('TLS holds for the sentinels, too', () => {
  const { master } = parseRedisUrl('rediss://one?master=fleet')
  expect(master).toMatchObject({ db: 0, tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true })
})

test.each([
  ['redis://one?sentinels=two', 'it names sentinels, but no master=NAME'],
  ['redis://one?sentinels=two:x&master=fleet', '"two:x" is no sentinel, such as sentinel-2:26379'],
  ['redis://one?sentinels=&master=fleet', '"" is no sentinel, such as sentinel-2:26379'],
  ['redis://one?sentinels=two/3&master=fleet', '"two/3" is no sentinel, such as sentinel-2:26379'],
  ['redis://one,two?master=fleet', '"one,two" is no sentinel, such as sentinel-2:26379'],
  ['redis://one/fleet?master=fleet', '"/fleet" is no number of a database'],
])('%s is refused: %s', (url, sentence) => {
  expect(() => checkedRedisUrl(url)).toThrow(sentence)
})
