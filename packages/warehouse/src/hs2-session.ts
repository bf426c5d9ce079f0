import type { Dialect } from './dialect.ts'
import { dialects } from './dialects.ts'
import { Hs2Connection, type Hs2ConnectionOptions } from './hs2-connection.ts'
import type { Poolable } from './pool.ts'
import { WarehouseError } from './warehouse.ts'

/** Statements to run in a session before a query, at most so often. */
export type Refresh = {
  statements: readonly string[] | ((dialect: Dialect) => readonly string[])
  everyMs: number
}

export type SessionOptions = {
  database: string | undefined
  /** By the engine's own names. */
  settings: Readonly<Record<string, string>>
  refresh: Refresh | undefined
  openWithinMs: number
}

/** For clients that died: Impala ends a statement that runs this long, or of which nobody fetches for this long. */
const impalaLimits = { EXEC_TIME_LIMIT_S: '900', QUERY_TIMEOUT_S: '60' }

/** A session of a server, on a connection of its own. */
export class Hs2Session implements Poolable {
  readonly connection: Hs2Connection
  readonly dialect: Dialect
  readonly #refresh: Refresh | undefined
  #refreshedAt = Number.NEGATIVE_INFINITY

  private constructor(connection: Hs2Connection, dialect: Dialect, refresh: Refresh | undefined) {
    this.connection = connection
    this.dialect = dialect
    this.#refresh = refresh
  }

  /** Connects and opens a session. The server is asked what it is if `dialect` is not known. @throws WarehouseError */
  static async open(
    server: Hs2ConnectionOptions,
    dialect: Dialect | undefined,
    options: SessionOptions,
  ): Promise<Hs2Session> {
    const connection = await Hs2Connection.connect(server)
    try {
      const known = dialect ?? (await askForDialect(connection, options.openWithinMs))
      await connection.openSession(sessionConfiguration(known, options), options.openWithinMs)
      return new Hs2Session(connection, known, options.refresh)
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  get failure(): WarehouseError | undefined {
    return this.connection.failure
  }

  set onFailure(listener: () => void) {
    this.connection.onFailure = listener
  }

  /** Impala alone takes limits with a statement. */
  get hasOverlay(): boolean {
    return this.dialect.name === 'impala'
  }

  /** What is to be run before the next statement. Whoever asks runs them. */
  dueRefreshes(): readonly string[] {
    const now = performance.now()
    if (!this.#refresh || now - this.#refreshedAt < this.#refresh.everyMs) return []
    this.#refreshedAt = now
    const { statements } = this.#refresh
    return typeof statements === 'function' ? statements(this.dialect) : statements
  }

  close(): Promise<void> {
    return this.connection.close()
  }
}

/** In a session of its own, without settings: a Hive with access control refuses to open one that has Impala's in it. */
async function askForDialect(connection: Hs2Connection, openWithinMs: number): Promise<Dialect> {
  await connection.openSession({}, openWithinMs)
  const name = await connection.engineName()
  await connection.closeSession()
  if (/impala/i.test(name)) return dialects.impala
  if (/spark|kyuubi/i.test(name)) return dialects.spark
  if (/hive/i.test(name)) return dialects.hive
  throw new WarehouseError(
    'unavailable',
    `the server calls itself ${JSON.stringify(name)}: say which dialect it speaks`,
  )
}

/** Each engine has its own way to write a setting; `use:database` they share. */
function sessionConfiguration(dialect: Dialect, { database, settings }: SessionOptions): Record<string, string> {
  const isImpala = dialect.name === 'impala'
  const all = isImpala ? { ...impalaLimits, ...settings } : settings
  const spelled = Object.entries(all).map(([name, value]) => [isImpala ? name : `set:hiveconf:${name}`, value])
  return { ...Object.fromEntries(spelled), ...(database && { 'use:database': database }) }
}
