import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { thriftType as types } from './hs2-thrift-types.ts'
import * as wire from './hs2-wire.test-server.ts'
import type { Decoded, Encoded } from './hs2-wire.test-server.ts'

/**
 * The ways of Impala's engine, as its clients see them. Its statements:
 *
 *   ROWS n              n rows of (id BIGINT, name STRING, half DOUBLE), name null in every tenth
 *   EXACT               one row of values and names that are easily spoilt
 *   RUN ms              runs so long, then has no rows
 *   HANG                ExecuteStatement is never answered
 *   REFUSE text         ExecuteStatement is answered with an error
 *   BREAK text          runs into the error state
 */
export type FakeEngineOptions = {
  engineName?: string
  protocolVersion?: number
  batchRows?: number
  /** How many times FetchResults says that it is still executing before the first rows. */
  stillExecuting?: number
}

type Operation = {
  sql: string
  session: string
  endsAt: number
  sent: number
  cancelled: boolean
  /** A client has called it by its handle. */
  isKnown: boolean
  timeLimitS: number
  stillExecuting: number
}
export type Fields = Map<unknown, Decoded>

const status = { ok: 0, stillExecuting: 2, error: 3, invalidHandle: 4 }
const state = { running: 1, finished: 2, error: 5 }
const knownOverlay = new Set(['EXEC_TIME_LIMIT_S', 'REQUEST_POOL', 'MEM_LIMIT'])
const fetchNext = 0
/** From V6 on rows come by column. */
const byColumn = 5

export class FakeEngine {
  readonly statements: string[] = []
  readonly settings: Record<string, string>[] = []
  readonly overlays: Record<string, string>[] = []
  readonly open = new Map<string, Operation>()
  /** Their protocol versions. */
  readonly sessions = new Map<string, number>()
  /** Methods that are never answered. */
  readonly mute = new Set<string>()
  /** What ExecuteStatement is answered with, once each. */
  readonly refusals: { text: string; isInvalidHandle?: boolean }[] = []
  readonly #options: FakeEngineOptions

  constructor(options: FakeEngineOptions) {
    this.#options = options
  }

  /** As when nobody asked anything in them for too long. */
  expireSessions(): void {
    this.sessions.clear()
  }

  /** As a new process. */
  forget(): void {
    this.open.clear()
    this.sessions.clear()
  }

  protected async answer(method: string, request: Fields): Promise<Encoded | undefined> {
    if (this.mute.has(method)) return undefined
    switch (method) {
      case 'OpenSession': {
        return this.#openSession(request)
      }
      case 'CloseSession': {
        this.#closeSession(handleOf(request))
        return wire.struct({ 1: ok() })
      }
      case 'GetInfo': {
        return wire.struct({ 1: ok(), 2: wire.struct({ 1: wire.text(this.#options.engineName ?? 'Impala') }) })
      }
      case 'ExecuteStatement': {
        return this.#execute(request)
      }
      case 'GetOperationStatus': {
        return this.#withOperation(request, (operation) => stateOf(operation))
      }
      case 'GetResultSetMetadata': {
        return this.#withOperation(request, ({ sql }) => wire.struct({ 1: ok(), 2: schemaOf(columnsOf(sql)) }))
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
          this.open.delete(handleOf(request))
          return wire.struct({ 1: ok() })
        })
      }
      default: {
        return wire.struct({ 1: ok() })
      }
    }
  }

  #openSession(request: Fields): Encoded {
    this.settings.push(textsOf(request.get(4)))
    const version = Math.min(Number(request.get(1)), this.#options.protocolVersion ?? byColumn)
    const guid = randomBytes(16)
    this.sessions.set(guid.toString('hex'), version)
    return wire.struct({ 1: ok(), 2: wire.i32(version), 3: wire.struct({ 1: handle(guid) }) })
  }

  #closeSession(session: string): void {
    this.sessions.delete(session)
    for (const [id, operation] of this.open) if (operation.session === session) this.open.delete(id)
  }

  #execute(request: Fields): Encoded | undefined {
    const sql = textOf(request.get(2))
    const overlay = textsOf(request.get(3))
    const session = handleOf(request)
    this.statements.push(sql)
    this.overlays.push(overlay)
    const refusal = this.refusals.shift()
    if (refusal) return refused(refusal.text, refusal.isInvalidHandle ? status.invalidHandle : status.error)
    if (!this.sessions.has(session)) return refused(`Invalid session id: ${session}`)
    const unknown = Object.keys(overlay).find((key) => !knownOverlay.has(key))
    if (unknown) return refused(`Invalid query option: ${unknown}`)
    if (sql.startsWith('REFUSE ')) return refused(sql.slice(7))
    if (sql === 'HANG') return undefined
    if (request.get(4) !== true) throw new Error('not asked to run asynchronously')
    const guid = randomBytes(16)
    this.open.set(guid.toString('hex'), {
      sql,
      session,
      endsAt: performance.now() + Number(/^RUN (\d+)/.exec(sql)?.[1] ?? 0),
      sent: 0,
      cancelled: false,
      isKnown: false,
      timeLimitS: Number(overlay['EXEC_TIME_LIMIT_S'] ?? 0),
      stillExecuting: this.#options.stillExecuting ?? 0,
    })
    return wire.struct({ 1: ok(), 2: wire.struct({ 1: handle(guid), 2: wire.i32(0), 3: wire.bool(true) }) })
  }

  #withOperation(request: Fields, answer: (operation: Operation) => Encoded): Encoded {
    const operation = this.open.get(handleOf(request))
    if (!operation) return refused('Invalid or unknown query handle')
    operation.isKnown = true
    return answer(operation)
  }

  #fetch(operation: Operation, request: Fields): Encoded {
    if (operation.cancelled) return refused('Cancelled')
    if (request.get(2) !== fetchNext) return refused('Restarting of fetch requires enabling of query result caching.')
    if (operation.stillExecuting-- > 0)
      return wire.struct({ 1: wire.struct({ 1: wire.i32(status.stillExecuting) }), 2: wire.bool(true) })
    const rows = rowCountOf(operation.sql)
    const asked = Math.min(Number(request.get(3)), this.#options.batchRows ?? 1024)
    const count = Math.min(asked, rows - operation.sent)
    const first = operation.sent
    operation.sent += count
    const columns = columnsOf(operation.sql)
    const isByColumn = (this.sessions.get(operation.session) ?? byColumn) >= byColumn
    const found = isByColumn ? rowsByColumn(columns, first, count) : rowsByRow(columns, first, count)
    return wire.struct({ 1: ok(), 2: wire.bool(operation.sent < rows), 3: found })
  }
}

const ok = (): Encoded => wire.struct({ 1: wire.i32(status.ok) })
const handle = (guid: Buffer): Encoded => wire.struct({ 1: wire.text(guid), 2: wire.text(Buffer.alloc(16)) })
const refused = (text: string, code = status.error): Encoded =>
  wire.struct({ 1: wire.struct({ 1: wire.i32(code), 3: wire.text('HY000'), 5: wire.text(text) }) })

function stateOf(operation: Operation): Encoded {
  const failure = operation.cancelled ? 'Cancelled' : /^BREAK ([^]*)/.exec(operation.sql)?.[1]
  if (failure) return wire.struct({ 1: ok(), 2: wire.i32(state.error), 3: wire.text('HY000'), 5: wire.text(failure) })
  return wire.struct({ 1: ok(), 2: wire.i32(performance.now() < operation.endsAt ? state.running : state.finished) })
}

const textOf = (value: Decoded | undefined): string => (Buffer.isBuffer(value) ? value.toString() : '')
const textsOf = (value: Decoded | undefined): Record<string, string> =>
  Object.fromEntries([...((value as Fields | undefined) ?? [])].map(([key, text]) => [key, textOf(text)]))

/** Of the session or the operation that a request is about. */
const handleOf = (request: Fields): string => {
  const identifier = (request.get(1) as Fields).get(1) as Fields
  return (identifier.get(1) as Buffer).toString('hex')
}

const kinds = {
  bigint: { typeId: 4, column: 5, list: types.i64, write: (cell: Cell) => wire.i64(BigInt(cell)) },
  double: { typeId: 6, column: 6, list: types.double, write: (cell: Cell) => wire.double(Number(cell)) },
  string: { typeId: 7, column: 7, list: types.string, write: (cell: Cell) => wire.text(String(cell)) },
  decimal: { typeId: 15, column: 7, list: types.string, write: (cell: Cell) => wire.text(String(cell)) },
} as const
type Cell = bigint | number | string
type Column = { name: string; kind: keyof typeof kinds; cell: (row: number) => Cell | null }

export const expectedRow = (index: number) => [index, index % 10 === 9 ? null : `row ${index} é`, index / 2] as const
const plainColumns: Column[] = [
  { name: 'id', kind: 'bigint', cell: (row) => expectedRow(row)[0] },
  { name: 'name', kind: 'string', cell: (row) => expectedRow(row)[1] },
  { name: 'half', kind: 'double', cell: (row) => expectedRow(row)[2] },
]
export const exactRow = [2n ** 53n + 1n, '12345678901234567890.125', 'left', 'right'] as const
const exactColumns: Column[] = [
  { name: 'large', kind: 'bigint', cell: () => exactRow[0] },
  { name: 'long', kind: 'decimal', cell: () => exactRow[1] },
  { name: 'a.name', kind: 'string', cell: () => exactRow[2] },
  { name: 'b.name', kind: 'string', cell: () => exactRow[3] },
]

const columnsOf = (sql: string) => (sql === 'EXACT' ? exactColumns : plainColumns)
const rowCountOf = (sql: string) => (sql === 'EXACT' ? 1 : Number(/^ROWS (\d+)/.exec(sql)?.[1] ?? 0))

function schemaOf(columns: readonly Column[]): Encoded {
  const described = columns.map(({ name, kind }, index) => {
    const primitive = wire.struct({ 1: wire.struct({ 1: wire.i32(kinds[kind].typeId) }) })
    const type = wire.struct({ 1: wire.list(types.struct, [primitive]) })
    return wire.struct({ 1: wire.text(name), 2: type, 3: wire.i32(index + 1) })
  })
  return wire.struct({ 1: wire.list(types.struct, described) })
}

const rowNumbers = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

function rowsByColumn(columns: readonly Column[], first: number, count: number): Encoded {
  const written = columns.map(({ kind, cell }) => {
    const { column, list, write } = kinds[kind]
    const cells = rowNumbers(first, count).map(cell)
    const nulls = Buffer.alloc(Math.ceil(count / 8))
    cells.forEach((value, index) => {
      if (value === null) nulls[index >> 3]! |= 1 << (index & 7)
    })
    const values = wire.list(
      list,
      cells.map((value) => write(value ?? '')),
    )
    return wire.struct({ [column]: wire.struct({ 1: values, 2: wire.text(nulls) }) })
  })
  const byRow = wire.list(types.struct, [])
  return wire.struct({ 1: wire.i64(BigInt(first)), 2: byRow, 3: wire.list(types.struct, written) })
}

function rowsByRow(columns: readonly Column[], first: number, count: number): Encoded {
  const rows = rowNumbers(first, count).map((row) => {
    const cells = columns.map(({ kind, cell }) => {
      const { column, write } = kinds[kind]
      const value = cell(row)
      return wire.struct({ [column]: wire.struct({ 1: value === null ? undefined : write(value) }) })
    })
    return wire.struct({ 1: wire.list(types.struct, cells) })
  })
  return wire.struct({ 1: wire.i64(BigInt(first)), 2: wire.list(types.struct, rows) })
}
