import { HiveDriver, thrift as generated } from 'hive-driver'
import { connectClient, type Client, type ClientOptions } from './hs2-client.ts'
import type { FetchedRows, Hs2Status } from './hs2-columns.ts'
import { serverError, transportError, type EndState } from './hs2-error.ts'
import { settledWithin } from './hs2-limit.ts'
import { WarehouseError } from './warehouse.ts'

export type Hs2ConnectionOptions = ClientOptions & {
  /** For any one call that the server should answer at once: one that is late ends the connection. */
  answerWithinMs: number
}

export type OperationHandle = Awaited<ReturnType<HiveDriver['executeStatement']>>['operationHandle']
export type OperationState = 'waiting' | 'finished'
export type Column = { name: string; isDecimal: boolean }
type SessionHandle = Awaited<ReturnType<HiveDriver['openSession']>>['sessionHandle']

const { TCLIService_types: types } = generated
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

/** One connection to a server, and at most one session on it. No call outlives its time limit or the connection. */
export class Hs2Connection {
  readonly endpoint: string
  readonly #options: Hs2ConnectionOptions
  readonly #pending = new Set<(failure: WarehouseError) => void>()
  #client: Client | undefined
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
    this.#client?.hangUp()
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
    // Our own reader made it: see readOwnRows.
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
    try {
      this.#client = await connectClient(this.#options, (error) => this.#lose(error))
    } catch (error) {
      this.#lose(error)
    }
    if (this.#failure) {
      this.#client?.hangUp()
      throw this.#failure
    }
    this.#driver = new HiveDriver(types, this.#client!.thriftClient)
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
