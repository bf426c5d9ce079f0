import { expect, test } from 'vitest'
import { needsOf } from './needs.ts'

test('a run of pure tests needs no server', () => {
  const { servers, tools } = needsOf(['/repo/packages/contracts/src/catalogue.test.ts', '/repo/redis.d/cursor.test.ts'])
  expect([...servers, ...tools]).toEqual([])
})

test('the suffixes of the files name the servers, each once', () => {
  const { servers, tools } = needsOf(['/a/log.redis.test.ts', '/a/source.kafka.test.ts', '/a/edge.nginx.test.ts'])
  expect([...servers]).toEqual(['redis', 'kafka'])
  expect([...tools]).toEqual(['redis', 'java', 'maven', 'nginx'])
})

test('a file may need two servers', () => {
  expect([...needsOf(['/a/history.kafka.hs2.test.ts']).servers]).toEqual(['redis', 'kafka', 'hs2'])
})
