import {
  addPartitionsStatement,
  createTableStatement,
  dropPartitionStatement,
  historyTables,
  type HistoryTableName,
} from '@flasktoria/warehouse/history-layout'
import { tableName, tableProfiles, type TableProfile } from '@flasktoria/warehouse/table-profile'
import type { HistoryStore } from '@flasktoria/warehouse/history-store'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import type { Logger } from '@flasktoria/service-kit/logger'
import { failureReason, type HistoryMetrics } from './history-metrics.ts'

const tables = ['sensor', 'anomaly'] as const
const daysPerStatement = 50
const deadlineMs = 120_000
const retryAfterMs = 15_000

/**
 * Makes a HiveServer2 engine see the tables and each new day of them. It only ever tells the engine what lies in the folder, so
 * it may fail, be killed, or run twice: the folder is looked through again.
 */
export class HistoryRegistrar {
  readonly #store: HistoryStore
  readonly #location: string
  readonly #profile: TableProfile
  readonly #warehouse: Pick<Warehouse, 'dialect' | 'execute'>
  readonly #metrics: HistoryMetrics
  readonly #logger: Logger
  readonly #known: Record<HistoryTableName, Set<number>> = { sensor: new Set(), anomaly: new Set() }
  readonly #created = new Set<HistoryTableName>()
  readonly #closing = new AbortController()
  #work: Promise<void> | undefined
  #isStale = false
  #retry: NodeJS.Timeout | undefined

  constructor(
    options: {
      store: HistoryStore
      /** Where the store is as the engine names it. */
      location?: string | undefined
      database?: string | undefined
    },
    parts: { warehouse: Pick<Warehouse, 'dialect' | 'execute'>; metrics: HistoryMetrics; logger: Logger },
  ) {
    this.#store = options.store
    this.#location = options.location ?? options.store.location
    this.#profile = { ...tableProfiles.own, ...(options.database !== undefined && { database: options.database }) }
    this.#warehouse = parts.warehouse
    this.#metrics = parts.metrics
    this.#logger = parts.logger
  }

  /** A day has new files: registers it, if it is new, in the background; unless that failed a moment ago. */
  note(table: HistoryTableName, day: number): void {
    if (!this.#known[table].has(day) && this.#retry === undefined) this.registerAll()
  }

  /** Registers whatever lies in the folder, in the background. */
  registerAll(): void {
    if (this.#closing.signal.aborted) return
    this.#isStale = true
    this.#work ??= this.#drain()
  }

  /** Makes the engine forget a day before `remove` takes its files away. */
  async drop(table: HistoryTableName, day: number, remove: () => Promise<void>): Promise<void> {
    await this.#work
    const { dialect } = this.#warehouse
    const name = tableName(dialect, this.#profile, this.#profile[table])
    await this.#execute(dropPartitionStatement(dialect, name, day))
    await remove()
    // Not sooner: whoever looks through the folder meanwhile would register it again.
    this.#known[table].delete(day)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#retry)
    await this.#work
  }

  async #drain(): Promise<void> {
    while (this.#isStale && !this.#closing.signal.aborted) {
      this.#isStale = false
      try {
        for (const table of tables) await this.#register(table)
      } catch (error) {
        if (this.#closing.signal.aborted) break
        const reason = failureReason(error)
        this.#metrics.failures.inc({ step: 'register', reason })
        this.#logger.warn({ err: error, reason }, 'the warehouse does not know all days of the history yet')
        clearTimeout(this.#retry)
        this.#retry = setTimeout(() => {
          this.#retry = undefined
          this.registerAll()
        }, retryAfterMs)
      }
    }
    this.#work = undefined
  }

  async #register(table: HistoryTableName): Promise<void> {
    const { dialect } = this.#warehouse
    const layout = historyTables[table]
    const name = tableName(dialect, this.#profile, this.#profile[table])
    if (!this.#created.has(table)) {
      await this.#store.prepare(layout)
      await this.#execute(createTableStatement(dialect, name, layout, this.#location))
      this.#created.add(table)
    }
    const known = this.#known[table]
    const unknown = (await this.#store.listDays(layout)).filter((day) => !known.has(day))
    for (let start = 0; start < unknown.length; start += daysPerStatement) {
      const days = unknown.slice(start, start + daysPerStatement)
      await this.#execute(addPartitionsStatement(dialect, name, days))
      for (const day of days) known.add(day)
    }
  }

  #execute(sql: string): Promise<void> {
    return this.#warehouse.execute(sql, { signal: this.#closing.signal, deadlineMs })
  }
}
