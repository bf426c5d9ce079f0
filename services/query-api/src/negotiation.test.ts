import { expect, test } from 'vitest'
import { preferredFormat } from './negotiation.ts'

const offered = ['json', 'ndjson', 'csv'] as const

test.for([
  [undefined, 'json'],
  ['', 'json'],
  ['*/*', 'json'],
  ['text/csv', 'csv'],
  ['TEXT/CSV', 'csv'],
  ['text/*', 'csv'],
  ['application/*', 'json'],
  ['application/x-ndjson, */*;q=0.1', 'ndjson'],
  ['application/json;q=0.5, text/csv;q=0.6', 'csv'],
  ['application/json;q=0, */*', 'ndjson'],
  ['text/html, application/xhtml+xml, */*;q=0.8', 'json'],
  ['text/csv; charset=utf-8; q=0.9, application/json; q=0.1', 'csv'],
  ['image/png', undefined],
  ['*/*;q=0', undefined],
  ['text/csv;q=2', undefined],
  ['nonsense', undefined],
] as const)('%j is answered with %s', ([accept, format]) => {
  expect(preferredFormat(accept, offered)).toBe(format)
})
