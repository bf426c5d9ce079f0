import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readOptions } from './options.ts'

test('a bare command means port 8080, ./var/stack, our own tables and a silent fleet', () => {
  expect(readOptions(['up'])).toEqual({
    command: 'up',
    port: 8080,
    dir: join(process.cwd(), 'var/stack'),
    tables: 'own',
    simulate: 0,
  })
})

test('everything can be said', () => {
  const said = ['status', '--port', '17400', '--dir', '/tmp/one', '--tables', 'legacy', '--simulate', '200']
  expect(readOptions(said)).toEqual({
    command: 'status',
    port: 17_400,
    dir: '/tmp/one',
    tables: 'legacy',
    simulate: 200,
  })
})

test.each([
  [[], 'up|down|status'],
  [['restart'], 'up|down|status'],
  [['up', 'down'], 'up|down|status'],
  [['up', '--prot', '8080'], '--prot'],
  [['up', '--port', '80'], '--port'],
  [['up', '--port', '8080x'], '--port'],
  [['up', '--simulate', '-1'], '--simulate'],
  [['up', '--tables', 'hbase'], '--tables'],
])('%j is refused in a sentence that names %s', (args, mention) => {
  expect(() => readOptions(args)).toThrow(mention)
})
