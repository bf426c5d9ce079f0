import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { FakeEngine, type FakeEngineOptions, type Fields } from './hs2-fake-engine.test-server.ts'
import * as wire from './hs2-wire.test-server.ts'

/** A HiveServer2 with the ways of Impala, which can't be had on a test machine, and with faults on demand. */
export type FakeImpalaOptions = FakeEngineOptions & {
  sasl?: { password: string; split?: boolean }
  tls?: { key: string; cert: string }
  /** Over HTTP instead, as Knox does: at this path, and for these credentials only. */
  http?: { path: string; credentials?: string }
  /** Sent bytes after which a connection is cut, by the number of the connection, from 0. */
  cutAfterBytes?: (connection: number) => number
  /** The size of the pieces in which bytes leave, and the pause between them. */
  pieceBytes?: number
  pieceMs?: number
}

type Peer = { socket: Socket; number: number; sentBytes: number; work: Promise<void> }

export class FakeImpala extends FakeEngine implements AsyncDisposable {
  /** Every call in order, `<connection>:<method>`. */
  readonly calls: string[] = []
  /** The header Cookie of every request over HTTP. */
  readonly cookies: (string | undefined)[] = []
  /** What requests over HTTP are answered with. */
  httpStatus = 200
  connections = 0
  sentBytes = 0
  readonly #options: FakeImpalaOptions
  readonly #server: Server
  readonly #peers = new Set<Peer>()
  #port = 0
  #frozen: PromiseWithResolvers<void> | undefined

  private constructor(options: FakeImpalaOptions) {
    super(options)
    this.#options = options
    this.#server = this.#createServer(options)
    this.#server.on('tlsClientError', () => {})
  }

  static async listen(options: FakeImpalaOptions = {}, port = 0): Promise<FakeImpala> {
    const fake = new FakeImpala(options)
    fake.#port = port
    await fake.revive()
    return fake
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `hive2://127.0.0.1:${this.port}/`
  }

  /** Connections that are open now. */
  get peers(): number {
    return this.#peers.size
  }

  hangUp(): void {
    for (const { socket } of this.#peers) socket.destroy()
  }

  /** Accepts connections and bytes, and does nothing about them. */
  freeze(): void {
    this.#frozen ??= Promise.withResolvers()
  }

  thaw(): void {
    this.#frozen?.resolve()
    this.#frozen = undefined
  }

  /** As by SIGKILL: it knows of nothing any more. */
  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.hangUp()
    this.forget()
    await closed
  }

  /** Where it was before. */
  async revive(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thaw()
    await this.kill()
  }

  #createServer({ tls, http }: FakeImpalaOptions): Server {
    if (!http) {
      const accept = (socket: Socket) => this.#accept(socket)
      return tls ? createTlsServer(tls, accept) : createServer(accept)
    }
    const answer = (request: IncomingMessage, response: ServerResponse) => void this.#answerHttp(request, response)
    const server = tls ? createHttpsServer(tls, answer) : createHttpServer(answer)
    return server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => this.#admit(socket))
  }

  #admit(socket: Socket): Peer {
    const peer: Peer = { socket, number: this.connections++, sentBytes: 0, work: Promise.resolve() }
    this.#peers.add(peer)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => this.#peers.delete(peer))
    return peer
  }

  #accept(socket: Socket): void {
    const peer = this.#admit(socket)
    let heard: Buffer = Buffer.alloc(0)
    let saslStep = this.#options.sasl ? 0 : 2
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk])
      while (saslStep < 2 && heard.length >= 5 && heard.length >= 5 + heard.readUInt32BE(1)) {
        const payload = heard.subarray(5, 5 + heard.readUInt32BE(1))
        heard = heard.subarray(5 + payload.length)
        if (saslStep++ === 1) this.#answerLogin(peer, payload)
      }
      if (saslStep < 2) return
      for (let call; (call = this.#nextCall(heard)); heard = heard.subarray(call.end)) this.#queue(peer, call)
    })
  }

  #nextCall(heard: Buffer): wire.Call | undefined {
    if (!this.#options.sasl) return wire.readCall(heard)
    if (heard.length < 4 || heard.length < 4 + heard.readInt32BE(0)) return undefined
    const call = wire.readCall(heard.subarray(4))!
    return { ...call, end: call.end + 4 }
  }

  #answerLogin(peer: Peer, payload: Buffer): void {
    const { password, split } = this.#options.sasl!
    const [, , said] = payload.toString().split('\0')
    const complaint = said === password ? '' : 'Error validating the login'
    const answer = Buffer.concat([
      Buffer.from([complaint ? 3 : 5]),
      wire.i32(complaint.length).bytes,
      Buffer.from(complaint),
    ])
    peer.socket.write(answer.subarray(0, split ? 2 : undefined))
    if (split) peer.work = delay(20).then(() => void peer.socket.write(answer.subarray(2)))
  }

  /** One call at a time per connection, as Impala does: the next one waits. */
  #queue(peer: Peer, call: wire.Call): void {
    const answerInTurn = async (before: Promise<void>): Promise<void> => {
      await before
      const answer = await this.#answerCall(peer.number, call)
      if (answer) await this.#send(peer, answer)
      else await new Promise((resolve) => peer.socket.once('close', resolve))
    }
    peer.work = answerInTurn(peer.work)
  }

  async #answerCall(connection: number, call: wire.Call): Promise<Buffer | undefined> {
    await this.#frozen?.promise
    this.calls.push(`${connection}:${call.name}`)
    const answer = await this.answer(call.name, call.fields.get(1) as Fields)
    return answer && wire.message(wire.messageType.reply, call.name, call.seqId, wire.struct({ 0: answer }))
  }

  async #answerHttp(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { path, credentials } = this.#options.http!
    const peer = [...this.#peers].find(({ socket }) => socket === request.socket)
    this.cookies.push(request.headers.cookie)
    const chunks: Buffer[] = await request.toArray().catch(() => [])
    const isKnown = credentials === undefined || request.headers.authorization === `Basic ${btoa(credentials)}`
    response.statusCode = isKnown ? this.httpStatus : 401
    if (request.url !== path) response.statusCode = 404
    response.setHeader('set-cookie', [`turn=${this.cookies.length}; Path=/; HttpOnly`, 'deleteMe=1; Max-Age=0'])
    const call = response.statusCode === 200 ? wire.readCall(Buffer.concat(chunks)) : undefined
    if (!peer || !call) return void response.end()
    const answer = await this.#answerCall(peer.number, call)
    if (!answer) return
    response.setHeader('content-length', answer.length)
    await this.#send(peer, answer, response)
  }

  async #send(peer: Peer, body: Buffer, to: Writable = peer.socket): Promise<void> {
    const bytes = this.#options.sasl ? Buffer.concat([wire.i32(body.length).bytes, body]) : body
    const cutAt = (this.#options.cutAfterBytes?.(peer.number) ?? Number.POSITIVE_INFINITY) - peer.sentBytes
    const { pieceBytes = bytes.length, pieceMs } = this.#options
    for (let at = 0; at < Math.min(bytes.length, cutAt) && !peer.socket.destroyed; at += pieceBytes) {
      await this.#frozen?.promise
      to.write(bytes.subarray(at, Math.min(at + pieceBytes, cutAt)))
      if (pieceBytes < bytes.length) await (pieceMs ? delay(pieceMs) : new Promise(setImmediate))
    }
    peer.sentBytes += bytes.length
    this.sentBytes += bytes.length
    if (cutAt <= bytes.length) peer.socket.end(() => peer.socket.destroy())
    else if (to !== peer.socket) to.end()
  }
}

// A process of its own, so that a test can freeze it.
if (import.meta.main) {
  const fake = await FakeImpala.listen()
  process.stdout.write(`${fake.port}\n`)
}
