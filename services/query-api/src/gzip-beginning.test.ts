import * as fc from 'fast-check'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { gzipBeginning } from './gzip-beginning.ts'

test('one beginning with any end is one gzip of both', async () => {
  const bytes = fc.uint8Array({ maxLength: 300 })
  await fc.assert(
    fc.asyncProperty(bytes, fc.array(bytes, { maxLength: 3 }), async (beginning, ends) => {
      const withEnd = await gzipBeginning(beginning, 4)
      for (const end of ends) expect(gunzipSync(withEnd(end))).toEqual(Buffer.concat([beginning, end]))
    }),
  )
})

test('a large beginning and the longest end are one gzip, too', async () => {
  const beginning = Buffer.from('{"id":"car","lat":48.1,"long":11.5}'.repeat(60_000))
  const end = Buffer.alloc(65_535, 'x')
  expect(gunzipSync((await gzipBeginning(beginning, 4))(end)).equals(Buffer.concat([beginning, end]))).toBe(true)
})
