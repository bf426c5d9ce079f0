import type { Socket } from 'node:net'
import { connections, HiveClient, HiveDriver, thrift as generated } from 'hive-driver'
import { TBufferedTransport, TFramedTransport } from 'thrift'
import { readFetchedRows, type FetchedRows, type Hs2Status } from './hs2-columns.ts'
import { serverError, transportError, type EndState } from './hs2-error.ts'
import { settledWithin } from './hs2-limit.ts'
import { MessageReceiver } from './hs2-receiver.ts'
import { plainLogin, readSaslAnswer } from './hs2-sasl.ts'
import type { Hs2Endpoint } from './hs2-url.ts'
import { WarehouseError } from './warehouse.ts'

// hive-driver as published loses answers, hangs on a lost socket and reads a large answer in quadratic time. Everything it
// needs to be used safely it lets one replace from outside: the login, the transport, and the reader of one answer.

export type Hs2ConnectionOptions = {
  endpoint: Hs2Endpoint
  mechanism: 'NOSASL' | 'PLAIN'
  username: string
  password: string
  tls: { ca: string | undefined; servername: string | undefined } | undefined
  /** A larger message ends the connection. */
  maxMessageBytes: number
  /** Until TCP, TLS and the login are done. */
  connectWithinMs: number
  /** For any one call that the server should answer at once: one that is late ends the connection. */
  answerWithinMs: number
}

export type OperationHandle = Awaited<ReturnType<HiveDriver['executeStatement']>>['operationHandle']
export type OperationState = 'waiting' | 'finished'
export type Column = { name: string; isDecimal: boolean }
type SessionHandle = Awaited<ReturnType<HiveDriver['openSession']>>['sessionHandle']

const { TCLIService, TCLIService_types: types } = generated
/** V1 to V5 answer by row, which the columns here would read as nothing. Impala knows none above V6. */
const protocolVersion: number = types.TProtocolVersion.HIVE_CLI_SERVICE_PROTOCOL_V6
/** Thrift's own number. hive-driver's `HiveOperation.fetch` takes it for its FETCH_FIRST, which Impala refuses. */
const fetchNext: number = types.TFetchOrientation.FETCH_NEXT
const { TStatusCode, TOperationState } = types
const goodStatuses: ReadonlySet<unknown> = new Set([
  TStatusCode.SUCCESS_STATUS,
  TStatusCode.SUCCESS_WITH_INFO_STATUS,
  TStatusCode.STILL_EXECUTING_STATUS,
])
const waitingStates: ReadonlySet<unknown> = new Set([
  TOperationState.INITIALIZED_STATE,
  TOperationState.RUNNING_STATE,
  TOperationState.PENDING_STATE,
])
const endStates: ReadonlyMap<unknown, EndState> = new Map([
  [TOperationState.CANCELED_STATE, 'cancelled'],
  [TOperationState.CLOSED_STATE, 'cancelled'],
  [TOperationState.TIMEDOUT_STATE, 'timed out'],
])
const closeWithinMs = 1000
/** Hive and Spark hold the answer to GetOperationStatus back while a statement runs, for 5 s unless they are told otherwise. */
const longPollMs = 10_000

/** One TCP connection to a server, and at most one session on it. No call outlives its time limit or the connection. */
export class Hs2Connection {
  readonly endpoint: string
  readonly #options: Hs2ConnectionOptions
  readonly #pending = new Set<(failure: WarehouseError) => void>()
  readonly #client = new HiveClient(TCLIService, types)
  #socket: Socket | undefined
  #driver: HiveDriver | undefined
  #session: SessionHandle | undefined
  #failure: WarehouseError | undefined
  #onFailure: (() => void) | undefined

  private constructor(options: Hs2ConnectionOptions) {
    this.#options = options
    this.endpoint = `${options.endpoint.host}:${options.endpoint.port}`
  }

  /** @throws WarehouseError */
  static async connect(options: Hs2ConnectionOptions): Promise<Hs2Connection> {
    const connection = new Hs2Connection(options)
    await connection.#connect()
    return connection
  }

  /** Why it can't be used any more; undefined while it can. */
  get failure(): WarehouseError | undefined {
    return this.#failure
  }

  /** Called once, when the connection fails or is closed. */
  set onFailure(listener: () => void) {
    this.#onFailure = listener
  }

  /** Ends the connection: every call under way rejects with the reason, and so does every later one. */
  fail(reason: WarehouseError): void {
    if (this.#failure) return
    this.#failure = reason
    this.#socket?.destroy()
    for (const reject of this.#pending) reject(reason)
    this.#pending.clear()
    this.#onFailure?.()
  }

  /** Only an answer to this proves that a server lives: a frozen one still accepts connections. */
  async openSession(settings: Readonly<Record<string, string>>, withinMs: number): Promise<void> {
    const { username, password } = this.#options
    const login = { ...(username && { username }), ...(password && { password }) }
    const answer = await this.#call('OpenSession', withinMs, (driver) =>
      driver.openSession({ client_protocol: protocolVersion, ...login, configuration: { ...settings } }),
    )
    this.#check(answer.status)
    if (answer.serverProtocolVersion < protocolVersion)
      throw new WarehouseError('unavailable', `the server answers by row, not by column (${this.endpoint})`)
    this.#session = answer.sessionHandle
  }

  /** What the server calls itself, such as `Spark SQL` or `Apache Hive`. */
  async engineName(): Promise<string> {
    const request = { sessionHandle: this.#session!, infoType: types.TGetInfoType.CLI_DBMS_NAME }
    const answer = await this.#call('GetInfo', this.#options.answerWithinMs, (driver) => driver.getInfo(request))
    this.#check(answer.status)
    return answer.infoValue?.stringValue ?? ''
  }

  /**
   * Hands a statement over, always asynchronously: a synchronous one has no handle to cancel it by. Impala plans it before
   * it answers, so this has a time limit of its own.
   */
  async execute(
    sql: string,
    options: { withinMs: number; overlay?: Readonly<Record<string, string>>; serverTimeLimitS: number },
  ): Promise<OperationHandle> {
    const request = {
      sessionHandle: this.#session!,
      statement: sql,
      runAsync: true,
      // hive-driver declares a Map and a Buffer here. It would write the Map as an empty one, and throw on the Buffer.
      ...(options.overlay && { confOverlay: { ...options.overlay } as never }),
      queryTimeout: options.serverTimeLimitS as never,
    }
    const answer = await this.#call('ExecuteStatement', options.withinMs, (driver) => driver.executeStatement(request))
    this.#check(answer.status)
    return answer.operationHandle
  }

  /** @throws WarehouseError when the statement failed, was cancelled or ran out of time */
  async operationState(operationHandle: OperationHandle): Promise<OperationState> {
    const answer = await this.#call('GetOperationStatus', this.#options.answerWithinMs + longPollMs, (driver) =>
      driver.getOperationStatus({ operationHandle }),
    )
    this.#check(answer.status, operationHandle)
    const state = answer.operationState
    if (state === TOperationState.FINISHED_STATE) return 'finished'
    if (waitingStates.has(state)) return 'waiting'
    throw serverError(endStates.get(state) ?? 'error', answer, this.#where(operationHandle))
  }

  async columns(operationHandle: OperationHandle): Promise<Column[]> {
    const answer = await this.#call('GetResultSetMetadata', this.#options.answerWithinMs, (driver) =>
      driver.getResultSetMetadata({ operationHandle }),
    )
    this.#check(answer.status, operationHandle)
    return (answer.schema?.columns ?? []).map((column) => ({
      name: column.columnName,
      isDecimal: column.typeDesc?.types?.[0]?.primitiveEntry?.type === types.TTypeId.DECIMAL_TYPE,
    }))
  }

  /** The next rows, at most `maxRows`. Impala may answer with none although there are more. */
  async fetch(operationHandle: OperationHandle, maxRows: number, withinMs: number): Promise<FetchedRows> {
    const request = { operationHandle, orientation: fetchNext, maxRows }
    const answer = await this.#call('FetchResults', withinMs, (driver) => driver.fetchResults(request))
    // The reader below made it: see #readOwnRows.
    const rows = answer as unknown as FetchedRows
    this.#check(rows.status, operationHandle)
    return rows
  }

  async cancel(operationHandle: OperationHandle): Promise<void> {
    const answer = await this.#call('CancelOperation', this.#options.answerWithinMs, (driver) =>
      driver.cancelOperation({ operationHandle }),
    )
    this.#check(answer.status, operationHandle)
  }

  async closeOperation(operationHandle: OperationHandle): Promise<void> {
    const answer = await this.#call('CloseOperation', this.#options.answerWithinMs, (driver) =>
      driver.closeOperation({ operationHandle }),
    )
    this.#check(answer.status, operationHandle)
  }

  async closeSession(): Promise<void> {
    const sessionHandle = this.#session!
    this.#session = undefined
    const answer = await this.#call('CloseSession', this.#options.answerWithinMs, (driver) =>
      driver.closeSession({ sessionHandle }),
    )
    this.#check(answer.status)
  }

  /** Says good-bye, briefly, and hangs up. Never rejects. */
  async close(): Promise<void> {
    if (this.#session && !this.#failure) await settledWithin(this.closeSession(), closeWithinMs)
    this.fail(new WarehouseError('unavailable', `the connection was closed (${this.endpoint})`))
  }

  async #connect(): Promise<void> {
    const { endpoint, tls } = this.#options
    // Once the client has a socket, each of these would end the process if nobody listened.
    this.#client.on('error', (error) => this.#lose(error))
    this.#client.on('close', () => this.#lose(new Error('the server hung up')))
    this.#client.on('timeout', () => this.#lose(new Error('the socket timed out')))
    const secure = tls && { ssl: true, rejectUnauthorized: true, ...definedOnly(tls) }
    const address = { host: endpoint.host, port: endpoint.port, options: { ...secure } }
    try {
      await this.#client.connect(address, new connections.TcpConnection(), {
        authenticate: (transport) => this.#authenticate(transport),
      })
    } catch (error) {
      this.#lose(error)
    }
    if (this.#failure) throw this.#failure
    this.#readOwnRows()
    this.#driver = new HiveDriver(types, this.#client.getClient())
  }

  /** Stands in for hive-driver's login, which takes a socket for connected at once and one chunk for one frame. */
  async #authenticate(transport: Transport): Promise<Transport> {
    const { mechanism, username, password, connectWithinMs, maxMessageBytes } = this.#options
    const ready = Promise.withResolvers<void>()
    const onConnect = () => {
      if (mechanism === 'NOSASL') ready.resolve()
      else transport.write(plainLogin(username || 'anonymous', password || 'anonymous'))
    }
    let heard: Buffer = Buffer.alloc(0)
    const onData = (chunk: Buffer) => {
      if (mechanism === 'NOSASL') return
      heard = Buffer.concat([heard, chunk])
      const answer = readSaslAnswer(heard)
      if (answer.outcome === 'complete') ready.resolve()
      if (answer.outcome === 'refused') ready.reject(new Error(`login refused: ${answer.reason}`))
    }
    transport.connect()
    this.#socket = transport.getTransport() as Socket
    // This one stays: an 'error' event without a listener ends the process.
    this.#socket.on('error', ready.reject)
    this.#socket.once('close', () => ready.reject(new Error('the server hung up')))
    this.#socket.setKeepAlive(true, 30_000)
    transport.addListener('connect', onConnect)
    transport.addListener('data', onData)
    const deadline = setTimeout(
      () => ready.reject(new Error(`no connection and login within ${connectWithinMs} ms`)),
      connectWithinMs,
    )
    try {
      await ready.promise
    } finally {
      clearTimeout(deadline)
      transport.removeListener('connect', onConnect)
      transport.removeListener('data', onData)
    }
    const onMalformed = (error: unknown) => this.#lose(error)
    transport.setOptions('transport', wholeMessages({ isFramed: mechanism === 'PLAIN', maxMessageBytes, onMalformed }))
    return transport
  }

  /**
   * hive-driver makes one object of each 64-bit integer and an Infinity of a large one. The connection hands each answer to
   * `recv_<method>` of its client, so that one method is replaced, on this client only.
   */
  #readOwnRows(): void {
    const client = this.#client.getClient() as unknown as ThriftClient
    const readException = client.recv_FetchResults.bind(client)
    client.recv_FetchResults = (protocol, messageType, seqId) => {
      if (messageType !== replyMessage) return readException(protocol, messageType, seqId)
      const answered = client._reqs[seqId]
      delete client._reqs[seqId]
      const rows = readFetchedRows(...protocol.trans.unread())
      answered?.(rows ? null : new Error('an empty answer to FetchResults'), rows)
    }
  }

  async #call<T>(name: string, withinMs: number, send: (driver: HiveDriver) => Promise<T>): Promise<T> {
    if (this.#failure) throw this.#failure
    const { promise: failed, reject } = Promise.withResolvers<never>()
    this.#pending.add(reject)
    const deadline = setTimeout(
      () => this.#lose(new Error(`no answer to ${name} within ${Math.round(withinMs)} ms`)),
      withinMs,
    )
    try {
      return await Promise.race([send(this.#driver!), failed])
    } catch (error) {
      throw transportError(error, this.endpoint)
    } finally {
      clearTimeout(deadline)
      this.#pending.delete(reject)
    }
  }

  /** What the readers of answers throw doesn't name the server yet. */
  #lose(error: unknown): void {
    this.fail(
      error instanceof WarehouseError
        ? new WarehouseError(error.kind, `${error.message} (${this.endpoint})`)
        : transportError(error, this.endpoint),
    )
  }

  #check(status: Hs2Status | undefined, operation?: OperationHandle): void {
    const code = status?.statusCode
    if (goodStatuses.has(code)) return
    const state = code === TStatusCode.INVALID_HANDLE_STATUS ? 'invalid handle' : 'error'
    throw serverError(state, status ?? {}, this.#where(operation))
  }

  #where(operation: OperationHandle | undefined): string {
    return operation ? `query ${queryId(operation)} at ${this.endpoint}` : this.endpoint
  }
}

/** As Impala prints it: two 64-bit halves of the handle, each little-endian. */
export function queryId(operation: OperationHandle): string {
  const guid = Buffer.from(operation.operationId.guid)
  if (guid.length !== 16) return guid.toString('hex')
  const half = (at: number) => guid.readBigUInt64LE(at).toString(16).padStart(16, '0')
  return `${half(0)}:${half(8)}`
}

type Authentication = NonNullable<Parameters<HiveClient['connect']>[2]>
type Transport = Parameters<Authentication['authenticate']>[0]

const replyMessage = 2
type ReceiveAnswer = (protocol: { trans: WholeMessage }, messageType: number, seqId: number) => void
type ThriftClient = {
  _reqs: Record<number, ((error: unknown, answer?: unknown) => void) | undefined>
  recv_FetchResults: ReceiveAnswer
}

/** One message, all of which is here: what thrift's connection reads an answer from. */
class WholeMessage extends TBufferedTransport {
  constructor(message: Buffer) {
    super()
    this.inBuf = message
    this.writeCursor = message.length
  }

  unread(): [bytes: Buffer, position: number] {
    return [this.inBuf, this.readCursor]
  }

  /** The stock one copies the rest of its buffer for the next message; here there is none. */
  commitPosition(): void {}
}

/** A transport class for thrift's connection that writes as the stock ones do, and reads whole messages. */
function wholeMessages(options: {
  isFramed: boolean
  maxMessageBytes: number
  onMalformed: (error: unknown) => void
}): typeof TBufferedTransport | typeof TFramedTransport {
  const receiver = (deliver: (message: WholeMessage) => void) => {
    const messages = new MessageReceiver({
      isFramed: options.isFramed,
      maxBytes: options.maxMessageBytes,
      deliver: (message) => deliver(new WholeMessage(message)),
    })
    return (chunk: Buffer) => {
      try {
        messages.push(chunk)
      } catch (error) {
        options.onMalformed(error)
      }
    }
  }
  return options.isFramed
    ? class extends TFramedTransport {
        static receiver = receiver
      }
    : class extends TBufferedTransport {
        static receiver = receiver
      }
}

const definedOnly = (options: object) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
