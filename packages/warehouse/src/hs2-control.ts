import type { Hs2Connection, OperationHandle } from './hs2-connection.ts'

/** A server that keeps one waiting for longer is left to its own time limits. */
const retryWithinMs = 1000

/**
 * The connection over which the statements of one coordinator are cancelled. A server works on one call at a time per
 * connection, so that over its own connection a statement could only be cancelled once it had answered.
 * It is opened when it is first needed, and needs no session.
 */
export class ControlConnection {
  readonly #connect: () => Promise<Hs2Connection>
  #connection: Promise<Hs2Connection> | undefined
  #isClosed = false

  constructor(connect: () => Promise<Hs2Connection>) {
    this.#connect = connect
  }

  /** Over a new connection, if the one that there was is lost under it. @throws WarehouseError when the server can't be told */
  async cancel(operation: OperationHandle): Promise<void> {
    const startedAt = performance.now()
    for (;;) {
      const connection = await this.#open()
      // A statement that has just ended is no reason not to close it.
      await connection.cancel(operation).catch(() => {})
      try {
        return await connection.closeOperation(operation)
      } catch (error) {
        const isLate = performance.now() - startedAt > retryWithinMs
        if (!connection.failure || isLate || this.#isClosed) throw error
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const connection = await this.#connection?.catch(() => {})
    await connection?.close()
  }

  #open(): Promise<Hs2Connection> {
    this.#connection ??= this.#connect().then((connection) => {
      connection.onFailure = () => (this.#connection = undefined)
      if (this.#isClosed) void connection.close()
      return connection
    })
    this.#connection.catch(() => (this.#connection = undefined))
    return this.#connection
  }
}
