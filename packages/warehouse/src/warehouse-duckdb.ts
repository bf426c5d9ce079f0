import { resolve } from 'node:path'
import {
  DuckDBInstance,
  type DuckDBConnection,
  type DuckDBMaterializedResult,
  type DuckDBValue,
} from '@duckdb/node-api'
import { dialects } from './dialects.ts'
import {
  historyTables,
  listLivePaths,
  typeName,
  type ColumnType,
  type DayRange,
  type HistoryTable,
} from './history-layout.ts'
import { rowGroupRows } from './parquet-encoder.ts'
import { WaitingRoom } from './waiting-room.ts'
import { WarehouseError, type Cell, type ColumnBatch, type QueryOptions, type Warehouse } from './warehouse.ts'

const { duckdb: dialect } = dialects

export type DuckdbSettings = {
  /** The only folder that statements can read or write. */
  directory: string
  memoryLimitMb?: number
  threads?: number
}

/** A DuckDB in memory that loads no extension, spills nothing to disk and sees one folder only. */
async function openDuckdb({ directory, memoryLimitMb = 256, threads = 2 }: DuckdbSettings): Promise<DuckDBInstance> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: `${memoryLimitMb}MB`,
    temp_directory: '',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    // It takes a file that was mended within a second for the broken one; the page cache does as well.
    enable_external_file_cache: 'false',
  })
  const connection = await instance.connect()
  // These are refused as settings of a new instance, and have to come in this order.
  await connection.run(`SET allowed_directories = [${dialect.text(resolve(directory))}]`)
  await connection.run('SET enable_external_access = false')
  await connection.run('SET lock_configuration = true')
  connection.closeSync()
  return instance
}

/** DuckDB says what went wrong in words only. */
function toWarehouseError(error: unknown): WarehouseError {
  if (error instanceof WarehouseError) return error
  const [message = 'DuckDB failed'] = (error instanceof Error ? error.message : String(error)).split('\n')
  if (/^Out of Memory/i.test(message)) return new WarehouseError('out_of_memory', message, { cause: error })
  if (/^(?:FATAL|INTERNAL)/i.test(message)) return new WarehouseError('unavailable', message, { cause: error })
  return new WarehouseError('statement', message, { cause: error })
}

const isVanishedFile = (error: unknown) =>
  error instanceof Error && /No files found that match|Cannot open file|No such file/.test(error.message)

/**
 * Runs a statement, or interrupts it when the signal fires; settles when the engine has let go of it.
 *
 * Whole results, never streams: when a stream fails in its midst, node-api 1.5.6 gives an empty chunk, which is how an answer
 * ends, so a broken file or an interrupt would pass for a short answer.
 */
async function runInterruptibly(connection: DuckDBConnection, sql: string, signal: AbortSignal) {
  let again: NodeJS.Timeout | undefined
  const interrupt = () => {
    connection.interrupt()
    // An interrupt that comes before the engine began is forgotten.
    again = setInterval(() => connection.interrupt(), 50)
  }
  signal.throwIfAborted()
  signal.addEventListener('abort', interrupt, { once: true })
  try {
    return await connection.run(sql)
  } finally {
    clearInterval(again)
    signal.removeEventListener('abort', interrupt)
  }
}

/** What the promise gives, or the signal's reason as soon as it fires. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * A result lies outside of V8's heap until its handle is collected, and V8 does not know how much that frees: it would let
 * hundreds of them gather. So each has a buffer that V8 does count, of a few times its length, which nobody ever touches.
 */
const weights = new WeakMap<DuckDBMaterializedResult, Buffer>()
const cellBytes = 128

const weigh = (result: DuckDBMaterializedResult) =>
  weights.set(result, Buffer.allocUnsafeSlow(result.rowCount * result.columnCount * cellBytes))

function toCell(value: DuckDBValue): Cell {
  if (typeof value === 'bigint')
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  return value === undefined ? null : String(value)
}

/** What a question sees as a table: the files that are there now, or no rows. */
function viewStatement(table: HistoryTable, paths: readonly string[]): string {
  const view = `CREATE OR REPLACE TEMP VIEW ${dialect.identifier(table.name)} AS SELECT`
  const columns = Object.entries<ColumnType>({ ...table.columns, day: 'integer' })
  if (paths.length === 0) {
    const nulls = columns.map(([name, type]) => `NULL::${typeName(dialect, type)} AS ${dialect.identifier(name)}`)
    return `${view} ${nulls.join(', ')} WHERE false`
  }
  return (
    `${view} ${columns.map(([name]) => dialect.identifier(name)).join(', ')} FROM read_parquet(` +
    `[${paths.map(dialect.text).join(', ')}], hive_partitioning = true, hive_types = {day: INTEGER})`
  )
}

/** A connection and what its views show. */
type Lane = { connection: DuckDBConnection; views: Map<HistoryTable, string> }

/**
 * The days that a statement asks for: the builders send them as constants wherever they name a table, and files of other days
 * need not even be listed. Undefined: any day.
 */
export function daysAsked(sql: string, table: HistoryTable): DayRange | undefined {
  const withoutTexts = sql.replaceAll(/'(?:[^']|'')*'/g, "''")
  const ranges = [...withoutTexts.matchAll(/ AND "day" BETWEEN (\d{5,8}) AND (\d{5,8})\)/g)]
  if (ranges.length === 0 || ranges.length !== withoutTexts.split(dialect.identifier(table.name)).length - 1)
    return undefined
  const days = ranges.flatMap(([, from, to]) => [Number(from), Number(to)])
  return { from: Math.min(...days), to: Math.max(...days) }
}

async function refreshViews(lane: Lane, directory: string, sql: string): Promise<void> {
  for (const table of Object.values<HistoryTable>(historyTables)) {
    if (!sql.includes(table.name)) continue
    const statement = viewStatement(table, await listLivePaths(directory, table, daysAsked(sql, table)))
    if (lane.views.get(table) === statement) continue
    await lane.connection.run(statement)
    lane.views.set(table, statement)
  }
}

export type DuckdbWarehouseOptions = DuckdbSettings & {
  /** Each runs one statement at a time, on a thread of Node's pool of four. */
  connections?: number
  maxWaiting?: number
  maxWaitMs?: number
}

/** The tables `sensor_history` and `anomaly_history` over the Parquet files of a folder, which may be missing or empty. */
export async function createDuckdbWarehouse(options: DuckdbWarehouseOptions): Promise<Warehouse> {
  const directory = resolve(options.directory)
  const instance = await openDuckdb({ ...options, directory })
  const lanes: Lane[] = []
  for (let index = 0; index < (options.connections ?? 2); index++)
    lanes.push({ connection: await instance.connect(), views: new Map() })
  const { maxWaiting = 64, maxWaitMs = 2_000 } = options
  return new DuckdbWarehouse(directory, instance, lanes, new WaitingRoom(lanes, { maxWaiting, maxWaitMs }))
}

class DuckdbWarehouse implements Warehouse {
  readonly dialect = dialect
  readonly pageRows = pageRows
  readonly #directory: string
  readonly #instance: DuckDBInstance
  readonly #lanes: readonly Lane[]
  readonly #room: WaitingRoom<Lane>
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(directory: string, instance: DuckDBInstance, lanes: readonly Lane[], room: WaitingRoom<Lane>) {
    this.#directory = directory
    this.#instance = instance
    this.#lanes = lanes
    this.#room = room
  }

  query(sql: string, { signal, deadlineMs, maxRows }: QueryOptions): AsyncIterable<ColumnBatch> {
    const end = this.#endOf(signal, deadlineMs)
    // One row more than allowed is enough to know: an unbounded answer never gathers in memory.
    return this.#rows(`SELECT * FROM (\n${sql}\n) LIMIT ${dialect.integer(maxRows + 1)}`, end, maxRows)
  }

  async execute(sql: string, { signal, deadlineMs }: Omit<QueryOptions, 'maxRows'>): Promise<void> {
    await this.#run(sql, this.#endOf(signal, deadlineMs))
  }

  failing(): string | undefined {
    return this.#closing.signal.aborted ? 'the warehouse is closed' : undefined
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#room.refuseAll(closed())
    await Promise.allSettled(this.#running)
    for (const { connection } of this.#lanes) connection.closeSync()
    this.#instance.closeSync()
  }

  #endOf(signal: AbortSignal, deadlineMs: number): End {
    const timeout = AbortSignal.timeout(deadlineMs)
    return {
      signal: AbortSignal.any([signal, timeout, this.#closing.signal]),
      explain: (error) => {
        if (this.#closing.signal.aborted) return closed()
        if (signal.aborted) return new WarehouseError('cancelled', 'the question was withdrawn')
        if (timeout.aborted) return new WarehouseError('timeout', `no answer within ${deadlineMs} ms`)
        return toWarehouseError(error)
      },
    }
  }

  async *#rows(sql: string, end: End, maxRows: number): AsyncGenerator<ColumnBatch> {
    const result = await this.#run(sql, end)
    weigh(result)
    if (result.rowCount > maxRows) throw new WarehouseError('too_large', `the answer has more than ${maxRows} rows`)
    const columns = result.columnNames()
    for (;;) {
      const chunk = await result.fetchChunk()
      if (end.signal.aborted) throw end.explain(end.signal.reason)
      if (chunk === null || chunk.rowCount === 0) return
      const values = columns.map((_, index) => chunk.getColumnVector(index).toArray().map(toCell))
      yield { columns, rowCount: chunk.rowCount, values }
    }
  }

  async #run(sql: string, end: End): Promise<DuckDBMaterializedResult> {
    try {
      end.signal.throwIfAborted()
      const lane = await this.#room.take(end.signal)
      const answer = this.#ask(lane, sql, end.signal)
      // The caller may leave at once; the lane is free when the engine has let go of it.
      const settled = Promise.allSettled([answer])
      this.#running.add(settled)
      void settled.finally(() => {
        this.#running.delete(settled)
        this.#room.give(lane)
      })
      return await unlessAborted(answer, end.signal)
    } catch (error) {
      throw end.explain(error)
    }
  }

  async #ask(lane: Lane, sql: string, signal: AbortSignal): Promise<DuckDBMaterializedResult> {
    for (let attempt = 1; ; attempt++) {
      try {
        await refreshViews(lane, this.#directory, sql)
        return await runInterruptibly(lane.connection, sql, signal)
      } catch (error) {
        // Merged into another file between the look at the folder and the end of the statement: look again.
        if (attempt === 3 || !isVanishedFile(error)) throw error
      }
    }
  }
}

/** A megabyte, read within some tens of milliseconds. */
const pageRows = 20_000

/** When a question has to end, and why it did. */
type End = { signal: AbortSignal; explain: (error: unknown) => WarehouseError }

const closed = () => new WarehouseError('unavailable', 'the warehouse is closed')

/** Makes one Parquet file of several: sorted by the table's order, in row groups that a question can skip. */
export async function openParquetMerger(settings: DuckdbSettings) {
  const instance = await openDuckdb(settings)
  const connection = await instance.connect()
  return {
    /** One call at a time. */
    async merge({ columns, order }: HistoryTable, paths: readonly string[], path: string): Promise<void> {
      const names = (all: readonly string[]) => all.map(dialect.identifier).join(', ')
      await connection.run(
        `COPY (SELECT ${names(Object.keys(columns))} FROM read_parquet([${paths.map(dialect.text).join(', ')}], ` +
          `hive_partitioning = false) ORDER BY ${names(order)}) ` +
          `TO ${dialect.text(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroupRows})`,
      )
    },
    close: (): void => {
      connection.closeSync()
      instance.closeSync()
    },
  }
}
