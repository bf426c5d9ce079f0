import { percentEncode, sha256, signedHeaders, type S3Credentials } from './s3-signature.ts'

export type S3BucketOptions = {
  bucket: string
  /** Of AWS by default. */
  endpoint?: string | undefined
  region: string
  /** The bucket in the path, as most servers but AWS want it, and not in the name of the host. */
  isPathStyle: boolean
  credentials: S3Credentials
}

/** What the server says is wrong; `status` 0: it did not answer. */
export class S3Error extends Error {
  override readonly name = 'S3Error'
  readonly status: number
  /** A word of S3, such as `NoSuchBucket`. */
  readonly kind: string

  constructor(status: number, kind: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
    this.kind = kind
  }
}

const deadlineMs = 60_000
const attempts = 3
const isPassing = (status: number) => status === 0 || status === 429 || status >= 500

/** The few requests that the history needs. Each may be sent again: it then does the same. */
export class S3Bucket {
  readonly #options: S3BucketOptions
  readonly #base: URL

  constructor(options: S3BucketOptions) {
    this.#options = options
    const { bucket, region, isPathStyle } = options
    this.#base = new URL(options.endpoint ?? `https://s3.${region}.amazonaws.com`)
    if (!isPathStyle) this.#base.hostname = `${bucket}.${this.#base.hostname}`
  }

  async get(key: string): Promise<Buffer> {
    return Buffer.from(await (await this.#request('GET', key)).arrayBuffer())
  }

  async put(key: string, content: Buffer): Promise<void> {
    await this.#request('PUT', key, { content })
  }

  async remove(key: string): Promise<void> {
    await this.#request('DELETE', key)
  }

  /** Names behind the prefix, up to the next slash; those of folders end in one. */
  async list(prefix: string): Promise<string[]> {
    const names: string[] = []
    let token: string | undefined
    do {
      const query = {
        'list-type': '2',
        'encoding-type': 'url',
        delimiter: '/',
        prefix,
        ...(token !== undefined && { 'continuation-token': token }),
      }
      const text = await (await this.#request('GET', '', { query })).text()
      if (!text.includes('<ListBucketResult')) throw new S3Error(200, 'other', 'the server answered with no listing')
      for (const [, key, folder] of text.matchAll(
        /<Key>([^<]*)<\/Key>|<CommonPrefixes>\s*<Prefix>([^<]*)<\/Prefix>/g,
      )) {
        const path = decode(key ?? folder ?? '')
        if (path.startsWith(prefix) && path !== prefix) names.push(path.slice(prefix.length))
      }
      token = /<IsTruncated>true/.test(text)
        ? decodeXml(/<NextContinuationToken>([^<]+)</.exec(text)?.[1] ?? '') || undefined
        : undefined
    } while (token !== undefined)
    return names.toSorted()
  }

  async #request(
    method: 'GET' | 'PUT' | 'DELETE',
    key: string,
    { query = {}, content }: { query?: Record<string, string>; content?: Buffer } = {},
  ): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#send(method, this.#urlOf(key, query), content)
      } catch (error) {
        if (attempt === attempts || !(error instanceof S3Error) || !isPassing(error.status)) throw error
      }
    }
  }

  async #send(method: string, url: URL, content: Buffer | undefined): Promise<Response> {
    const { credentials, region } = this.#options
    const request = { method, url, headers: {}, contentHash: sha256(content ?? '') }
    const headers = signedHeaders(request, credentials, region, new Date())
    let response: Response
    try {
      const body = content && new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.byteLength)
      response = await fetch(url, { method, headers, signal: AbortSignal.timeout(deadlineMs), ...(body && { body }) })
    } catch (cause) {
      throw new S3Error(0, 'unreachable', `${url.host} does not answer`, { cause })
    }
    if (response.ok) return response
    const text = await response.text().catch(() => '')
    const code = /<Code>(\w{1,60})<\/Code>/.exec(text)?.[1] ?? `status ${response.status}`
    throw new S3Error(response.status, code, `${method} ${url.host}${url.pathname}: ${response.status} ${code}`)
  }

  #urlOf(key: string, query: Record<string, string>): URL {
    const url = new URL(this.#base)
    const parts = [...(this.#options.isPathStyle ? [this.#options.bucket] : []), ...(key === '' ? [] : key.split('/'))]
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${parts.map(percentEncode).join('/')}`
    // What is signed and what is sent have to be the same bytes, and URLSearchParams writes a space as a plus.
    url.search = Object.entries(query)
      .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
      .join('&')
    return url
  }
}

const decodeXml = (text: string) =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&')
/** Servers that know no `encoding-type` answer with the plain key, in which a percent sign would stand for itself: none of ours has one. */
const decode = (text: string) => decodeURIComponent(decodeXml(text).replaceAll('+', ' '))
