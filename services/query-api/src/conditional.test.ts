import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Content, etagOf, isKnown } from './conditional.ts'

test.for([
  [undefined, false],
  ['', false],
  ['"a"', true],
  ['W/"a"', true],
  ['"b"', false],
  ['"b", "a"', true],
  ['"b" ,W/"a" , "c"', true],
  ['*', true],
  [' * ', true],
  ['a', false],
  ['"a', false],
  ['"A"', false],
  ['"b,"a"', false],
  ['"x*"', false],
] as const)('of "a", If-None-Match %j knows: %j', ([header, known]) => {
  expect(isKnown(header, '"a"')).toBe(known)
})

test('any header is read without harm, and knows what it lists', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300, unit: 'binary-ascii' }), (header) => {
      fc.pre(header.trim() !== '*' && !header.includes('"a"'))
      expect(isKnown(header, '"a"')).toBe(false)
      expect(isKnown(`W/"a", ${header}`, '"a"')).toBe(true)
    }),
  )
})

test('a validator is the same for the same bytes only, and another one for each coding', () => {
  const [a, same, b] = [new Content('a'), new Content(Buffer.from('a')), new Content('b')]
  expect(a.digest).toBe(same.digest)
  const tags = [etagOf(a.digest, undefined), etagOf(a.digest, 'gzip'), etagOf(a.digest, 'br'), etagOf(b.digest, 'br')]
  expect(new Set(tags).size).toBe(4)
  for (const tag of tags) expect(tag).toMatch(/^"[\w-]+"$/)
})

test('content is compressed once for each coding', async () => {
  const content = new Content('a'.repeat(5_000))
  expect(await content.in(undefined)).toBe('a'.repeat(5_000))
  expect(await content.in('gzip')).toBe(await content.in('gzip'))
  expect(await content.in('gzip')).not.toEqual(await content.in('br'))
})
