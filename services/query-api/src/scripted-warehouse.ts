import { dialects } from '@flasktoria/warehouse/dialects'
import { WarehouseError, type Cell, type Warehouse, type WarehouseErrorKind } from '@flasktoria/warehouse/warehouse'

type Row = readonly Cell[]

/** Answers every statement of a kind with the same rows, or fails, or hangs until it is cancelled. For the failures that a real engine won't show on demand. */
export function createScriptedWarehouse(script: {
  readings?: readonly Row[]
  anomalies?: readonly Row[]
  fail?: WarehouseErrorKind
  hangs?: boolean
}) {
  let { fail } = script
  const asked: string[] = []
  let cancelled = 0
  const warehouse: Warehouse = {
    dialect: dialects.duckdb,
    async *query(sql, { signal, maxRows }) {
      asked.push(sql)
      if (fail) throw new WarehouseError(fail, 'secret detail of the engine')
      if (script.hangs) {
        const { promise, reject } = Promise.withResolvers<never>()
        signal.addEventListener('abort', () => {
          cancelled++
          reject(new WarehouseError('cancelled', 'given up'))
        })
        await promise
      }
      const rows = (sql.includes('a_vehicle') ? script.anomalies : script.readings) ?? []
      if (rows.length > maxRows) throw new WarehouseError('too_large', 'too many rows')
      if (rows.length === 0) return
      yield {
        columns: rows[0]!.map(String),
        rowCount: rows.length,
        values: rows[0]!.map((_, column) => rows.map((row) => row[column]!)),
      }
    },
    execute: () => Promise.resolve(),
    failing: () => (fail === 'unavailable' ? 'it is down' : undefined),
    close: () => Promise.resolve(),
  }
  return {
    warehouse,
    asked,
    heal: () => (fail = undefined),
    get cancelled() {
      return cancelled
    },
  }
}
