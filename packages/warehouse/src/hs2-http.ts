import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Hs2Server } from './hs2-server.ts'
import { messageTooLarge } from './hs2-message-scanner.ts'
import { WarehouseError } from './warehouse.ts'

/** HiveServer2 over HTTP, as Apache Knox offers it: a message is the body of a POST, its answer that of the response. */
export class HttpMessages {
  readonly #server: Hs2Server
  readonly #maxBytes: number
  readonly #agent: HttpAgent
  readonly #hungUp = new AbortController()

  constructor(server: Hs2Server, maxBytes: number) {
    const { tls } = server
    this.#server = server
    this.#maxBytes = maxBytes
    this.#agent = tls
      ? new HttpsAgent({ keepAlive: true, ca: tls.ca, servername: tls.servername, rejectUnauthorized: true })
      : new HttpAgent({ keepAlive: true })
  }

  /** @throws WarehouseError, or what the socket and TLS throw */
  async post(message: Buffer): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const request = this.#request(message.length)
    request.once('response', resolve).on('error', reject)
    request.end(message)
    const response = await promise
    this.#server.http!.cookies.keep(response.headers['set-cookie'] ?? [])
    if (response.statusCode === 200) return this.#body(response)
    request.destroy()
    throw refusal(response)
  }

  /** Whatever is under way is rejected. */
  hangUp(): void {
    this.#hungUp.abort()
    this.#agent.destroy()
  }

  #request(contentLength: number): ClientRequest {
    const { endpoint, http, mechanism, username, password, tls } = this.#server
    const cookie = http!.cookies.header()
    const options = {
      ...endpoint,
      path: http!.path,
      method: 'POST',
      agent: this.#agent,
      signal: this.#hungUp.signal,
      headers: {
        'content-type': 'application/x-thrift',
        'content-length': contentLength,
        // Servers that are guarded against foreign pages want to see it.
        'x-xsrf-header': 'true',
        ...(cookie !== undefined && { cookie }),
        ...(mechanism === 'PLAIN' && { authorization: basic(username, password) }),
      },
    }
    return tls ? httpsRequest(options) : httpRequest(options)
  }

  async #body(response: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > this.#maxBytes) throw messageTooLarge(this.#maxBytes)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, length)
  }
}

const basic = (username: string, password: string) =>
  `Basic ${Buffer.from(`${username || 'anonymous'}:${password || 'anonymous'}`).toString('base64')}`

function refusal({ statusCode = 0, statusMessage = '' }: IncomingMessage): WarehouseError {
  const said = `HTTP ${statusCode} ${statusMessage}`.trim()
  const isLogin = statusCode === 401 || statusCode === 403
  return new WarehouseError('unavailable', isLogin ? `login refused: ${said}` : `the server answered ${said}`)
}
