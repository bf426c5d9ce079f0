import * as fc from 'fast-check'
import { promisify } from 'node:util'
import { brotliDecompress, createGunzip, gunzip, zstdDecompress } from 'node:zlib'
import { expect, test } from 'vitest'
import { chooseCoding, compress, compressStream, type Coding } from './compression.ts'

const decompress = { gzip: promisify(gunzip), br: promisify(brotliDecompress), zstd: promisify(zstdDecompress) }
const codings = Object.keys(decompress) as Coding[]

test.for([
  [undefined, undefined],
  ['', undefined],
  ['gzip', 'gzip'],
  ['GZIP;Q=1', 'gzip'],
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip, deflate, br', 'br'],
  ['br;q=0.5, gzip;q=0.8', 'gzip'],
  ['zstd;q=0, br;q=0.000, gzip;q=0.001', 'gzip'],
  ['gzip;q=0', undefined],
  ['*', 'zstd'],
  ['*, zstd;q=0', 'br'],
  ['*;q=0', undefined],
  ['identity', undefined],
  ['identity, gzip;q=0.5', undefined],
  ['identity;q=0.5, gzip;q=0.5', 'gzip'],
  ['deflate, compress', undefined],
  ['gzip;q=2', undefined],
  ['gzip;level=9', undefined],
  [' , ,gzip ; q=0.3,', 'gzip'],
] as const)('of Accept-Encoding %j comes %j', ([header, coding]) => {
  expect(chooseCoding(header)).toBe(coding)
})

test('only what is offered is chosen', () => {
  expect(chooseCoding('zstd, gzip;q=0.1', ['gzip'])).toBe('gzip')
  expect(chooseCoding('zstd, br', ['gzip'])).toBe(undefined)
  expect(chooseCoding('*', [])).toBe(undefined)
})

test('any header is read without harm', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (header) => {
      expect([undefined, ...codings]).toContain(chooseCoding(header))
    }),
  )
})

test.for(codings)('%s: any pieces come out as they went in, in one go or piece by piece', async (coding) => {
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(pieces, async (parts) => {
      const bytes = Buffer.concat(parts)
      const streamed = await new Response(compressStream(ReadableStream.from(parts), coding)).bytes()
      expect(bytes.equals(await decompress[coding](streamed))).toBe(true)
      expect(bytes.equals(await decompress[coding](await compress(bytes, coding)))).toBe(true)
    }),
    { numRuns: 30 },
  )
  // Far more than fits into the compressor.
  const large = Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * index) % 251)
  const streamed = await new Response(compressStream(ReadableStream.from([large]), coding)).bytes()
  expect(Buffer.from(large).equals(await decompress[coding](streamed))).toBe(true)
  expect(Buffer.from(large).equals(await decompress[coding](await compress(large, coding)))).toBe(true)
})

/** Gives pieces one by one, counts how many were asked for, and fails in the end. */
function createSource(count: number) {
  const seen = { asked: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (seen.asked++ < count) controller.enqueue(Buffer.from(`row ${seen.asked}\n`))
        else controller.error(new Error('the engine died'))
      },
      cancel: () => void (seen.cancelled = true),
    },
    { highWaterMark: 0 },
  )
  return { body, seen }
}

test('each piece can be read when it was written, and the next is asked for when it was taken', async () => {
  const { body, seen } = createSource(3)
  const reader = compressStream(body, 'gzip').getReader()
  const reached = createGunzip()
  for (const row of [1, 2, 3]) {
    let text = ''
    while (!text.endsWith(`row ${row}\n`)) {
      reached.write((await reader.read()).value)
      text = String(await new Promise((resolve) => reached.once('data', resolve)))
    }
    expect(seen.asked).toBe(row)
  }
  await expect(reader.read()).rejects.toThrow('the engine died')
})

test('whoever stops to read stops the source', async () => {
  const { body, seen } = createSource(10)
  const compressed = compressStream(body, 'zstd')
  const reader = compressed.getReader()
  await reader.read()
  await reader.cancel()
  expect(seen).toMatchObject({ asked: 1, cancelled: true })
})
