import type { Dialect } from './dialect.ts'
import { dialects } from './dialects.ts'
import { Attempt, isLost, type AttemptOptions, type StatementReport } from './hs2-attempt.ts'
import { Hs2Connection, type Hs2ConnectionOptions } from './hs2-connection.ts'
import { ControlConnection } from './hs2-control.ts'
import { Limit, sleep } from './hs2-limit.ts'
import { Hs2Session, type Refresh, type SessionOptions } from './hs2-session.ts'
import { serversOf } from './hs2-server.ts'
import { parseHs2Url } from './hs2-url.ts'
import { Pool, type PoolUsage } from './pool.ts'
import { WarehouseError, type ColumnBatch, type QueryOptions, type Warehouse } from './warehouse.ts'

export type { StatementReport } from './hs2-attempt.ts'
export type { Refresh } from './hs2-session.ts'

export type Hs2WarehouseOptions = {
  /** See `parseHs2Url`. */
  url: string
  /** Asked of the server when it isn't said. */
  dialect?: Exclude<Dialect['name'], 'duckdb'> | undefined
  /**
   * Statements to run in a session before a query, at most so often, such as REFRESH TABLE: Spark remembers per session
   * which files a table has. One that fails is passed over: the query's own error is what counts.
   */
  refresh?: Refresh | undefined
  /** Settings of each session, by the engine's own names. */
  sessionSettings?: Readonly<Record<string, string>>
  connectionsPerServer?: number
  maxWaiters?: number
  maxWaitMs?: number
  maxAgeMs?: number
  /** TCP, TLS and login. */
  connectWithinMs?: number
  openSessionWithinMs?: number
  /** How long its creation waits for the first answer of a server; absent: as long as that may take. */
  waitForFirstMs?: number
  /** Any call that a server should answer at once, such as cancel or close. */
  answerWithinMs?: number
  maxMessageBytes?: number
  /** Rows that are asked for at once. */
  fetchRows?: number
  /** So many transport errors within so long, and a server is left alone until a probe succeeds. */
  circuit?: { failures: number; withinMs: number }
  probeAfterMs?: number
  /** Called once for each statement, when the engine has nothing of it left. */
  onStatement?: ((report: StatementReport) => void) | undefined
}

export interface Hs2Warehouse extends Warehouse {
  /** Throws `unavailable` as long as it was not said and no server has answered yet. */
  readonly dialect: Dialect
  usage(): PoolUsage
}

const defaults = {
  sessionSettings: {},
  connectionsPerServer: 4,
  maxWaiters: 64,
  maxWaitMs: 2000,
  maxAgeMs: 30 * 60_000,
  connectWithinMs: 3000,
  openSessionWithinMs: 5000,
  answerWithinMs: 5000,
  maxMessageBytes: 64 * 1024 * 1024,
  // Read within some milliseconds, in which nobody else has a turn. More at once cost more memory, and no less time.
  fetchRows: 4_096,
  circuit: { failures: 5, withinMs: 30_000 },
  probeAfterMs: 1000,
}
type Settings = Hs2WarehouseOptions & typeof defaults

const maxAttempts = 3
const retryAfterMs = 50

/**
 * A warehouse behind HiveServer2: Impala, Hive, Spark, Kyuubi. Without a given dialect it waits a while for the first answer
 * of a server, or for that to fail: the warehouse is there when the server comes, whenever that is.
 * @throws TypeError on a bad address, Error when the file with the certificates can't be read
 */
export async function createHs2Warehouse(options: Hs2WarehouseOptions): Promise<Hs2Warehouse> {
  const warehouse = new WarehouseOverHs2({ ...defaults, ...options })
  if (!options.dialect) await warehouse.reachFirst()
  return warehouse
}

class WarehouseOverHs2 implements Hs2Warehouse {
  readonly #settings: Settings
  readonly #servers: readonly Hs2ConnectionOptions[]
  readonly #controls: readonly ControlConnection[]
  readonly #sessions: SessionOptions
  readonly #pool: Pool<Hs2Session>
  readonly #attempts: AttemptOptions
  readonly #running = new Set<Limit>()
  readonly #background = new Set<Promise<void>>()
  #dialect: Dialect | undefined

  constructor(settings: Settings) {
    const url = parseHs2Url(settings.url)
    this.#settings = settings
    this.#dialect = settings.dialect && dialects[settings.dialect]
    this.#servers = serversOf(url).map((server) => ({ ...settings, ...server }))
    this.#controls = this.#servers.map((server) => new ControlConnection(() => Hs2Connection.connect(server)))
    this.#sessions = {
      database: url.database,
      settings: settings.sessionSettings,
      refresh: settings.refresh,
      openWithinMs: settings.openSessionWithinMs,
    }
    this.#pool = new Pool({
      ...settings,
      servers: url.endpoints.map(({ host, port }) => `${host}:${port}`),
      open: (server) => this.#openSession(server),
    })
    this.#attempts = {
      pool: this.#pool,
      cancel: (server, operation) => this.#controls[server]!.cancel(operation),
      fetchRows: settings.fetchRows,
      graceMs: settings.answerWithinMs,
      onReport: (report) => settings.onStatement?.(report),
      inBackground: (work) => this.#inBackground(work),
    }
  }

  get dialect(): Dialect {
    if (this.#dialect) return this.#dialect
    throw new WarehouseError('unavailable', `which dialect the engine speaks is not known: ${this.failing()}`)
  }

  /** Opens a first connection, which tells the dialect. The pool goes on trying if that fails, or takes too long. */
  async reachFirst(): Promise<void> {
    const { connectWithinMs, openSessionWithinMs, waitForFirstMs } = this.#settings
    const waitMs = waitForFirstMs ?? connectWithinMs + 2 * openSessionWithinMs
    using limit = new Limit(new AbortController().signal, waitMs)
    while (!this.#dialect && !this.#pool.failing() && !limit.signal.aborted) {
      try {
        const lease = await this.#pool.acquire(limit.signal)
        lease.release()
      } catch (error) {
        // A wait may be over before the first connection is there.
        if (!(error instanceof WarehouseError)) throw error
      }
    }
  }

  query(sql: string, options: QueryOptions): AsyncIterable<ColumnBatch> {
    return this.#query(sql, options, performance.now())
  }

  async execute(sql: string, { signal, deadlineMs }: Omit<QueryOptions, 'maxRows'>): Promise<void> {
    using limit = new Limit(signal, deadlineMs, { among: this.#running })
    for (let number = 1; ; number++) {
      const attempt = new Attempt(this.#attempts, limit, number)
      try {
        for await (const _ of attempt.batches(sql));
        return
      } catch (error) {
        if (attempt.mayHaveRun) throw error
        await this.#pauseBeforeRetry(error, number, limit)
      }
    }
  }

  failing(): string | undefined {
    return this.#pool.failing() ?? (this.#dialect ? undefined : 'no server has answered yet')
  }

  usage(): PoolUsage {
    return this.#pool.usage()
  }

  async close(): Promise<void> {
    for (const limit of this.#running) limit.abort(new WarehouseError('cancelled', 'the warehouse is being closed'))
    await this.#pool.close()
    await Promise.all(this.#background)
    await Promise.all(this.#controls.map((control) => control.close()))
  }

  async *#query(sql: string, options: QueryOptions, since: number): AsyncGenerator<ColumnBatch, void, void> {
    using limit = new Limit(options.signal, options.deadlineMs, { since, among: this.#running })
    let rows = 0
    for (let number = 1; ; number++) {
      try {
        for await (const batch of new Attempt(this.#attempts, limit, number).batches(sql)) {
          rows += batch.rowCount
          if (rows > options.maxRows)
            throw new WarehouseError('too_large', `the answer has more than ${options.maxRows} rows`)
          yield batch
        }
        return
      } catch (error) {
        // A second try after the first rows would give some of them twice.
        if (rows > 0) throw error
        await this.#pauseBeforeRetry(error, number, limit)
      }
    }
  }

  /** Returns when another try makes sense. @throws the error when none does */
  async #pauseBeforeRetry(error: unknown, attempt: number, limit: Limit): Promise<void> {
    if (!isLost(error) || attempt === maxAttempts || limit.signal.aborted || !this.#pool.hasServer) throw error
    await sleep(retryAfterMs * attempt * (0.5 + Math.random()), limit.signal)
  }

  async #openSession(server: number): Promise<Hs2Session> {
    const session = await Hs2Session.open(this.#servers[server]!, this.#dialect, this.#sessions)
    this.#dialect ??= session.dialect
    return session
  }

  #inBackground(work: Promise<void>): void {
    this.#background.add(work)
    void work.finally(() => this.#background.delete(work))
  }
}
