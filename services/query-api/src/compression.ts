import type { Context } from 'hono'
import type { Transform } from 'node:stream'
import { promisify } from 'node:util'
import {
  brotliCompress,
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzip,
  gzipSync,
  zstdCompress,
  zstdCompressSync,
} from 'node:zlib'
import type { RequestEnv } from './request-env.ts'

/** The best one first: what it saves for what it costs. */
export const codings = ['zstd', 'br', 'gzip'] as const
export type Coding = (typeof codings)[number]

/** Below it a packet is a packet. */
export const minCompressedBytes = 1_024

export const isCompressible = (contentType: string): boolean =>
  /^(?:text\/|application\/(?:json|x-ndjson|geo\+json)\b)/.test(contentType)

const preferencePattern = /^\s*([\w*-]+)\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/i

/** The coding of those offered that the client likes best, of equals the first; undefined: as it is. */
export function chooseCoding(
  acceptEncoding: string | undefined,
  offered: readonly Coding[] = codings,
): Coding | undefined {
  const weights = new Map<string, number>()
  for (const preference of acceptEncoding?.split(',') ?? []) {
    const [, name, weight = 1] = preferencePattern.exec(preference) ?? []
    if (name !== undefined) weights.set(name.toLowerCase(), Number(weight))
  }
  const weightOf = (coding: string) => weights.get(coding) ?? weights.get('*') ?? 0
  const [best] = offered.toSorted((a, b) => weightOf(b) - weightOf(a))
  const isWanted = best !== undefined && weightOf(best) > 0 && weightOf(best) >= (weights.get('identity') ?? 0)
  return isWanted ? best : undefined
}

/** Whatever was written is on its way: a row that was sent is seen. */
const options = {
  gzip: { level: 4, flush: constants.Z_SYNC_FLUSH },
  br: { params: { [constants.BROTLI_PARAM_QUALITY]: 4 }, flush: constants.BROTLI_OPERATION_FLUSH },
  zstd: { params: { [constants.ZSTD_c_compressionLevel]: 3 }, flush: constants.ZSTD_e_flush },
}
const inThread = { gzip: promisify(gzip), br: promisify(brotliCompress), zstd: promisify(zstdCompress) }
const sync = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync }
const streaming: Record<Coding, () => Transform> = {
  gzip: () => createGzip(options.gzip),
  br: () => createBrotliCompress(options.br),
  zstd: () => createZstdCompress(options.zstd),
}

/** Sooner done than another thread is woken for it. */
const maxSyncBytes = 32_768

export function compress(bytes: Uint8Array, coding: Coding): Buffer<ArrayBuffer> | Promise<Buffer<ArrayBuffer>> {
  // Told the size, zstd takes no more memory than it needs.
  const how = { ...options[coding], pledgedSrcSize: bytes.length }
  return bytes.length > maxSyncBytes ? inThread[coding](bytes, how) : sync[coding](bytes, how)
}

/** Compresses an answer that is made as it is read: one without a length. What only HEAD asked for is not made. */
export async function compressIfStream(c: Context<RequestEnv>): Promise<void> {
  const { headers, status } = c.res
  if (status !== 200 || headers.has('Content-Length')) return
  // Else nginx would keep each piece until a buffer is full.
  headers.set('X-Accel-Buffering', 'no')
  const coding = headers.has('Content-Encoding') ? undefined : chosenCoding(c, headers)
  if (coding !== undefined) headers.set('Content-Encoding', coding)
  // From here on the headers are as they are: whoever touches the body gets a response with a copy of them.
  if (c.req.method === 'HEAD') await c.res.body?.cancel()
  else if (coding !== undefined && c.res.body) c.res = new Response(compressStream(c.res.body, coding), c.res)
}

function chosenCoding(c: Context, headers: Headers): Coding | undefined {
  if (!isCompressible(headers.get('Content-Type') ?? '')) return undefined
  headers.append('Vary', 'Accept-Encoding')
  return chooseCoding(c.req.header('Accept-Encoding'))
}

/**
 * Takes one piece from the source for each that is wanted. Its error comes behind everything that it gave before: no pipe of
 * Node's does that, and what an answer says of its failure would be lost.
 */
export function compressStream(body: ReadableStream<Uint8Array>, coding: Coding): ReadableStream<Uint8Array> {
  const compressor = streaming[coding]()
  const source = body.getReader()
  const made: Uint8Array[] = []
  compressor.on('data', (piece: Uint8Array) => made.push(piece))
  const feed = (piece: Uint8Array | undefined) =>
    new Promise<void>((resolve, reject) => {
      const onDone = (error?: Error | null) => (error ? reject(error) : resolve())
      if (piece) compressor.write(piece, onDone)
      else compressor.once('end', resolve).once('error', reject).end()
    })

  async function pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { done, value } = await source.read()
    await feed(value)
    // What is still inside comes as `data`, too.
    compressor.read()
    for (const piece of made.splice(0)) controller.enqueue(piece)
    if (done) controller.close()
  }

  return new ReadableStream(
    {
      pull: (controller) =>
        pull(controller).catch((error: unknown) => {
          compressor.destroy()
          throw error
        }),
      cancel(reason) {
        compressor.destroy()
        return source.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
