import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { thriftType as types } from './hs2-thrift-types.ts'
import * as wire from './hs2-wire.test-server.ts'
import type { Decoded, Encoded } from './hs2-wire.test-server.ts'

/**
 * A HiveServer2 with the ways of Impala, which can't be had on a test machine, and with faults on demand. Its statements:
 *
 *   ROWS n              n rows of (id BIGINT, name STRING, half DOUBLE), name null in every tenth
 *   RUN ms              runs so long, then has no rows
 *   HANG                ExecuteStatement is never answered
 *   REFUSE text         ExecuteStatement is answered with an error
 *   BREAK text          runs into the error state
 */
export type FakeImpalaOptions = {
  engineName?: string
  protocolVersion?: number
  batchRows?: number
  /** How many times FetchResults says that it is still executing before the first rows. */
  stillExecuting?: number
  sasl?: { password: string; split?: boolean }
  tls?: { key: string; cert: string }
  /** Sent bytes after which a connection is cut, by the number of the connection, from 0. */
  cutAfterBytes?: (connection: number) => number
  /** The size of the pieces in which bytes leave. */
  pieceBytes?: number
}

type Operation = {
  sql: string
  endsAt: number
  sent: number
  cancelled: boolean
  timeLimitS: number
  stillExecuting: number
}
type Fields = Map<unknown, Decoded>
type Peer = { socket: Socket; number: number; sentBytes: number; work: Promise<void> }

const status = { ok: 0, stillExecuting: 2, error: 3, invalidHandle: 4 }
const state = { running: 1, finished: 2, error: 5 }
const knownOverlay = new Set(['EXEC_TIME_LIMIT_S', 'REQUEST_POOL', 'MEM_LIMIT'])
const fetchNext = 0

export class FakeImpala implements AsyncDisposable {
  /** Every call in order, `<connection>:<method>`. */
  readonly calls: string[] = []
  readonly statements: string[] = []
  readonly settings: Record<string, string>[] = []
  readonly overlays: Record<string, string>[] = []
  readonly open = new Map<string, Operation>()
  /** Methods that are never answered. */
  readonly mute = new Set<string>()
  /** What ExecuteStatement is answered with, once each. */
  readonly refusals: { text: string; isInvalidHandle?: boolean }[] = []
  connections = 0
  sentBytes = 0
  readonly #options: FakeImpalaOptions
  readonly #server: Server
  readonly #peers = new Set<Peer>()

  private constructor(options: FakeImpalaOptions) {
    this.#options = options
    this.#server = options.tls
      ? createTlsServer(options.tls, (socket) => this.#accept(socket))
      : createServer((socket) => this.#accept(socket))
    this.#server.on('tlsClientError', () => {})
  }

  static async listen(options: FakeImpalaOptions = {}, port = 0): Promise<FakeImpala> {
    const fake = new FakeImpala(options)
    await new Promise<void>((resolve) => fake.#server.listen(port, '127.0.0.1', resolve))
    return fake
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `hive2://127.0.0.1:${this.port}/`
  }

  hangUp(): void {
    for (const { socket } of this.#peers) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(socket: Socket): void {
    const peer: Peer = { socket, number: this.connections++, sentBytes: 0, work: Promise.resolve() }
    this.#peers.add(peer)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => this.#peers.delete(peer))
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
    if (split) setTimeout(() => peer.socket.write(answer.subarray(2)), 20)
  }

  /** One call at a time per connection, as Impala does: the next one waits. */
  #queue(peer: Peer, call: wire.Call): void {
    const answerInTurn = async (before: Promise<void>): Promise<void> => {
      await before
      this.calls.push(`${peer.number}:${call.name}`)
      const request = call.fields.get(1) as Fields
      const answer = this.mute.has(call.name) ? undefined : await this.#answer(call.name, request)
      if (!answer) await new Promise((resolve) => peer.socket.once('close', resolve))
      else
        await this.#send(peer, wire.message(wire.messageType.reply, call.name, call.seqId, wire.struct({ 0: answer })))
    }
    peer.work = answerInTurn(peer.work)
  }

  async #send(peer: Peer, body: Buffer): Promise<void> {
    const bytes = this.#options.sasl ? Buffer.concat([wire.i32(body.length).bytes, body]) : body
    const cutAt = (this.#options.cutAfterBytes?.(peer.number) ?? Number.POSITIVE_INFINITY) - peer.sentBytes
    const pieceBytes = this.#options.pieceBytes ?? bytes.length
    for (let at = 0; at < Math.min(bytes.length, cutAt) && !peer.socket.destroyed; at += pieceBytes) {
      peer.socket.write(bytes.subarray(at, Math.min(at + pieceBytes, cutAt)))
      if (pieceBytes < bytes.length) await new Promise(setImmediate)
    }
    peer.sentBytes += bytes.length
    this.sentBytes += bytes.length
    if (cutAt <= bytes.length) peer.socket.end(() => peer.socket.destroy())
  }

  async #answer(method: string, request: Fields): Promise<Encoded | undefined> {
    switch (method) {
      case 'OpenSession': {
        this.settings.push(textsOf(request.get(4)))
        const version = Math.min(Number(request.get(1)), this.#options.protocolVersion ?? 5)
        return wire.struct({ 1: ok(), 2: wire.i32(version), 3: wire.struct({ 1: handle(randomBytes(16)) }) })
      }
      case 'GetInfo': {
        return wire.struct({ 1: ok(), 2: wire.struct({ 1: wire.text(this.#options.engineName ?? 'Impala') }) })
      }
      case 'ExecuteStatement': {
        return this.#execute(request)
      }
      case 'GetOperationStatus': {
        return this.#withOperation(request, (operation) => this.#stateOf(operation))
      }
      case 'GetResultSetMetadata': {
        return this.#withOperation(request, () => wire.struct({ 1: ok(), 2: schema }))
      }
      case 'FetchResults': {
        await delay(1)
        return this.#withOperation(request, (operation) => this.#fetch(operation, request))
      }
      case 'CancelOperation': {
        return this.#withOperation(request, (operation) => {
          operation.cancelled = true
          return wire.struct({ 1: ok() })
        })
      }
      case 'CloseOperation': {
        return this.#withOperation(request, () => {
          this.open.delete(operationId(request))
          return wire.struct({ 1: ok() })
        })
      }
      default: {
        return wire.struct({ 1: ok() })
      }
    }
  }

  #execute(request: Fields): Encoded | undefined {
    const sql = textOf(request.get(2))
    const overlay = textsOf(request.get(3))
    this.statements.push(sql)
    this.overlays.push(overlay)
    const refusal = this.refusals.shift()
    if (refusal) return refused(refusal.text, refusal.isInvalidHandle ? status.invalidHandle : status.error)
    const unknown = Object.keys(overlay).find((key) => !knownOverlay.has(key))
    if (unknown) return refused(`Invalid query option: ${unknown}`)
    if (sql.startsWith('REFUSE ')) return refused(sql.slice(7))
    if (sql === 'HANG') return undefined
    if (request.get(4) !== true) throw new Error('not asked to run asynchronously')
    const guid = randomBytes(16)
    this.open.set(guid.toString('hex'), {
      sql,
      endsAt: performance.now() + Number(/^RUN (\d+)/.exec(sql)?.[1] ?? 0),
      sent: 0,
      cancelled: false,
      timeLimitS: Number(overlay['EXEC_TIME_LIMIT_S'] ?? 0),
      stillExecuting: this.#options.stillExecuting ?? 0,
    })
    return wire.struct({ 1: ok(), 2: wire.struct({ 1: handle(guid), 2: wire.i32(0), 3: wire.bool(true) }) })
  }

  #withOperation(request: Fields, answer: (operation: Operation) => Encoded): Encoded {
    const operation = this.open.get(operationId(request))
    return operation ? answer(operation) : refused('Invalid or unknown query handle', status.error)
  }

  #stateOf(operation: Operation): Encoded {
    const failure = operation.cancelled ? 'Cancelled' : /^BREAK ([^]*)/.exec(operation.sql)?.[1]
    if (failure) return wire.struct({ 1: ok(), 2: wire.i32(state.error), 3: wire.text('HY000'), 5: wire.text(failure) })
    return wire.struct({ 1: ok(), 2: wire.i32(performance.now() < operation.endsAt ? state.running : state.finished) })
  }

  #fetch(operation: Operation, request: Fields): Encoded {
    if (operation.cancelled) return refused('Cancelled')
    if (request.get(2) !== fetchNext) return refused('Restarting of fetch requires enabling of query result caching.')
    if (operation.stillExecuting-- > 0)
      return wire.struct({ 1: wire.struct({ 1: wire.i32(status.stillExecuting) }), 2: wire.bool(true) })
    const rows = Number(/^ROWS (\d+)/.exec(operation.sql)?.[1] ?? 0)
    const asked = Math.min(Number(request.get(3)), this.#options.batchRows ?? 1024)
    const count = Math.min(asked, rows - operation.sent)
    const first = operation.sent
    operation.sent += count
    return wire.struct({ 1: ok(), 2: wire.bool(operation.sent < rows), 3: rowSet(first, count) })
  }
}

const ok = (): Encoded => wire.struct({ 1: wire.i32(status.ok) })
const handle = (guid: Buffer): Encoded => wire.struct({ 1: wire.text(guid), 2: wire.text(Buffer.alloc(16)) })
const refused = (text: string, code = status.error): Encoded =>
  wire.struct({ 1: wire.struct({ 1: wire.i32(code), 3: wire.text('HY000'), 5: wire.text(text) }) })

const textOf = (value: Decoded | undefined): string => (Buffer.isBuffer(value) ? value.toString() : '')
const textsOf = (value: Decoded | undefined): Record<string, string> =>
  Object.fromEntries([...((value as Fields | undefined) ?? [])].map(([key, text]) => [key, textOf(text)]))

const operationId = (request: Fields): string => {
  const identifier = (request.get(1) as Fields).get(1) as Fields
  return (identifier.get(1) as Buffer).toString('hex')
}

const column = (name: string, typeId: number, position: number): Encoded => {
  const primitive = wire.struct({ 1: wire.struct({ 1: wire.i32(typeId) }) })
  return wire.struct({
    1: wire.text(name),
    2: wire.struct({ 1: wire.list(types.struct, [primitive]) }),
    3: wire.i32(position),
  })
}
const schema = wire.struct({
  1: wire.list(types.struct, [column('id', 4, 1), column('name', 7, 2), column('half', 6, 3)]),
})

export const expectedRow = (index: number) => [index, index % 10 === 9 ? null : `row ${index} é`, index / 2] as const

function rowSet(first: number, count: number): Encoded {
  const rows = Array.from({ length: count }, (_, index) => expectedRow(first + index))
  const nulls = Buffer.alloc(Math.ceil(count / 8))
  rows.forEach(([, name], index) => {
    if (name === null) nulls[index >> 3]! |= 1 << (index & 7)
  })
  const none = wire.text(Buffer.alloc(0))
  const ids = wire.list(
    types.i64,
    rows.map(([id]) => wire.i64(BigInt(id))),
  )
  const names = wire.list(
    types.string,
    rows.map(([, name]) => wire.text(name ?? '')),
  )
  const halves = wire.list(
    types.double,
    rows.map(([, , half]) => wire.double(half)),
  )
  const columns = [
    wire.struct({ 5: wire.struct({ 1: ids, 2: none }) }),
    wire.struct({ 7: wire.struct({ 1: names, 2: wire.text(nulls) }) }),
    wire.struct({ 6: wire.struct({ 1: halves, 2: none }) }),
  ]
  return wire.struct({
    1: wire.i64(BigInt(first)),
    2: wire.list(types.struct, []),
    3: wire.list(types.struct, columns),
  })
}

// A process of its own, so that a test can freeze it.
if (import.meta.main) {
  const fake = await FakeImpala.listen()
  process.stdout.write(`${fake.port}\n`)
}
