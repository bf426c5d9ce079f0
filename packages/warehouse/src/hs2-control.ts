import type { Hs2Connection, OperationHandle } from './hs2-connection.ts'

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

  /** @throws WarehouseError when the server can't be told */
  async cancel(operation: OperationHandle): Promise<void> {
    const connection = await this.#open()
    // A statement that has just ended is no reason not to close it.
    await connection.cancel(operation).catch(() => {})
    await connection.closeOperation(operation)
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
