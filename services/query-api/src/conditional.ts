import type { Context } from 'hono'
import { hash } from 'node:crypto'
import { chooseCoding, codings, compress, isCompressible, minCompressedBytes, type Coding } from './compression.ts'
import type { RequestEnv } from './request-env.ts'

type Headers = { 'Content-Type': string; [name: string]: string }
type Bytes = Uint8Array<ArrayBuffer>

/** The same exactly for the same content. */
export const digestOf = (content: string | Bytes): string => hash('sha1', content, 'base64url')

/** What to answer with: hashed once, and compressed once for each coding, however often it is sent. */
export class Content {
  readonly digest: string
  readonly #content: string | Bytes
  readonly #compressed = new Map<Coding, Bytes | Promise<Bytes>>()

  constructor(content: string | Bytes) {
    this.digest = digestOf(content)
    this.#content = content
  }

  /** In bytes. */
  get length(): number {
    return Buffer.byteLength(this.#content)
  }

  in(coding: Coding | undefined): string | Bytes | Promise<Bytes> {
    if (coding === undefined) return this.#content
    const known = this.#compressed.get(coding)
    if (known) return known
    const compressed = compress(Buffer.from(this.#content as string), coding)
    this.#compressed.set(coding, compressed)
    return compressed
  }
}

/** A strong validator: another coding is another representation. */
export const etagOf = (digest: string, coding: Coding | undefined): string =>
  coding === undefined ? `"${digest}"` : `"${digest}-${coding}"`

const listedPattern = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g

/** Whether the client has it already, as its `If-None-Match` says: tags are compared weakly, since it only wants to read. */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.matchAll(listedPattern).some(([, listed]) => listed === etag)
}

/**
 * The beginning of every answer that is all there: which coding it comes in, and whether it need not come at all, since the
 * client has it. When it has to, `send` sends it.
 */
export function answerUnlessKnown(
  c: Context<RequestEnv>,
  { digest, length, offered }: { digest: string; length: number; offered: readonly Coding[] },
  send: (coding: Coding | undefined) => Promise<Response>,
): Response | Promise<Response> {
  const coding = length < minCompressedBytes ? undefined : chooseCoding(c.req.header('Accept-Encoding'), offered)
  const etag = etagOf(digest, coding)
  c.header('ETag', etag)
  c.header('Vary', 'Accept-Encoding', { append: true })
  if (isKnown(c.req.header('If-None-Match'), etag)) return c.body(null, 304)
  if (coding !== undefined) c.header('Content-Encoding', coding)
  return send(coding)
}

/** Answers with what is all there: validated, compressed where that pays, and not again to whom has it. */
export function answerContent(c: Context<RequestEnv>, content: Content, headers: Headers) {
  const { digest, length } = content
  const offered = isCompressible(headers['Content-Type']) ? codings : []
  return answerUnlessKnown(c, { digest, length, offered }, async (coding) => {
    const body = await content.in(coding)
    const size = coding === undefined ? length : body.length
    return c.body(body, 200, { ...headers, 'Content-Length': String(size) })
  })
}

export const answerJson = (c: Context<RequestEnv>, json: string) =>
  answerContent(c, new Content(json), { 'Content-Type': 'application/json' })
