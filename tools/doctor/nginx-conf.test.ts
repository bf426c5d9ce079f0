import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { blocksOf, findAll, milliseconds, parseNginxConf, settingIn } from './nginx-conf.ts'

const conf = `
# a comment; with { marks }
worker_connections 10; # behind
http {
  send_timeout 5s;
  log_format main '$remote_addr; "{$request}"';
  map $a $b { default ""; "~*^x y$" 1; }
  server {
    send_timeout 6s;
    location ~ ^/ws(/|$) { proxy_pass http://hub; }
    location = /x { send_timeout 1m30s; return 200 '{"code":\${status};}'; }
  }
}`

test('words, quotes, comments and blocks are read as nginx reads them', () => {
  const read = parseNginxConf(conf)
  expect(read.map(({ name }) => name)).toEqual(['worker_connections', 'http'])
  expect(findAll(read, 'log_format')[0]?.words).toEqual(['main', '$remote_addr; "{$request}"'])
  expect(findAll(read, 'map')[0]?.inner.map(({ name, words }) => [name, ...words])).toEqual([
    ['default', ''],
    ['~*^x y$', '1'],
  ])
  expect(findAll(read, 'return')[0]?.words).toEqual(['200', '{"code":${status};}'])
})

test('a block has what the nearest block around it says', () => {
  const [socket, other] = [...blocksOf(parseNginxConf(conf), 'location')]
  expect(settingIn(socket!, 'send_timeout')?.words).toEqual(['6s'])
  expect(settingIn(other!, 'send_timeout')?.words).toEqual(['1m30s'])
  expect(settingIn(other!, 'proxy_read_timeout')).toBeUndefined()
})

test('times', () => {
  expect(['75s', '1m30s', '250ms', '60', 'soon', undefined].map(milliseconds)).toEqual([
    75_000,
    90_000,
    250,
    60_000,
    undefined,
    undefined,
  ])
})

test('whatever a file holds, reading it ends, and never throws', () => {
  const pieces = fc.constantFrom('{', '}', ';', '"', "'", '#', '\\', '${', '\n', ' ', 'a', 'include x', '$b')
  fc.assert(
    fc.property(fc.array(pieces), (parts) => {
      expect(parseNginxConf(parts.join(''))).toBeInstanceOf(Array)
    }),
  )
})
