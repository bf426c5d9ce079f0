import { dayOf, historyTables, type HistoryTableName } from '@flasktoria/warehouse/history-layout'
import type { HistoryStore } from '@flasktoria/warehouse/history-store'
import type { Logger } from '@flasktoria/service-kit/logger'
import { failureReason, type HistoryMetrics } from './history-metrics.ts'

const dayMs = 86_400_000
const sweepIntervalMs = 3_600_000
/** Whoever fills in old days shall see them whole first. */
const quietMs = 3_600_000

type Parts = {
  store: HistoryStore
  /** Makes an engine forget the day, then calls `remove`. */
  forget?: ((table: HistoryTableName, day: number, remove: () => Promise<void>) => Promise<void>) | undefined
  metrics: HistoryMetrics
  logger: Logger
  now?: () => number
}

/**
 * Removes days that happened more than so many days before today, once an hour. A day in which something was written within
 * the last hour waits. What fails is tried again in the next hour.
 */
export class HistoryRetention {
  readonly #days: number
  readonly #parts: Parts
  readonly #writtenAt = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #sweeping: Promise<void> = Promise.resolve()

  constructor(days: number, parts: Parts) {
    this.#days = days
    this.#parts = parts
    this.#timer = setInterval(() => void this.sweep(), sweepIntervalMs)
  }

  /** A day has new files. */
  note(table: HistoryTableName, day: number): void {
    this.#writtenAt.set(`${table}\t${day}`, this.#now())
  }

  sweep(): Promise<void> {
    this.#sweeping = this.#sweepAfter(this.#sweeping)
    return this.#sweeping
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#sweeping
  }

  async #sweepAfter(other: Promise<void>): Promise<void> {
    await other
    for (const table of ['sensor', 'anomaly'] as const) await this.#sweepTable(table)
  }

  async #sweepTable(table: HistoryTableName): Promise<void> {
    const { store, forget, metrics, logger } = this.#parts
    try {
      const oldest = dayOf(this.#now() - this.#days * dayMs)
      for (const day of await store.listDays(historyTables[table])) {
        if (day >= oldest || this.#isBeingWritten(table, day)) continue
        const remove = () => store.removeDay({ table: historyTables[table], day })
        await (forget ? forget(table, day, remove) : remove())
        metrics.daysRemoved.inc({ table })
        logger.info({ table, day }, 'a day of the history was older than it is kept')
      }
    } catch (error) {
      const reason = failureReason(error)
      metrics.failures.inc({ step: 'remove', reason })
      logger.warn({ err: error, reason, table }, 'old days of the history could not be removed')
    }
  }

  #isBeingWritten(table: HistoryTableName, day: number): boolean {
    const key = `${table}\t${day}`
    const writtenAt = this.#writtenAt.get(key)
    if (writtenAt !== undefined && this.#now() - writtenAt < quietMs) return true
    this.#writtenAt.delete(key)
    return false
  }

  #now(): number {
    return (this.#parts.now ?? Date.now)()
  }
}
