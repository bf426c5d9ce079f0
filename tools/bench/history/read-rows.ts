// The measured program of one way to read rows. argv: warehouse|duckdb|stock-FETCHSIZE, url or folder, SQL, readings.
// Reads all rows so often, by the same program, and prints what the last time took.
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { createHs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { stockRows, stockSession } from './stock.ts'

const [way, place, sql, readings] = process.argv.slice(2) as [string, string, string, string]

async function readByWarehouse(warehouse: Warehouse): Promise<number> {
  let rows = 0
  const options = { signal: AbortSignal.timeout(300_000), deadlineMs: 300_000, maxRows: 10_000_000 }
  for await (const { rowCount } of warehouse.query(sql, options)) rows += rowCount
  return rows
}

async function openWay(): Promise<() => Promise<number>> {
  if (way === 'duckdb') {
    const warehouse = await createDuckdbWarehouse({ directory: place })
    return () => readByWarehouse(warehouse)
  }
  if (way === 'warehouse') {
    const warehouse = await createHs2Warehouse({ url: place })
    return () => readByWarehouse(warehouse)
  }
  const session = await stockSession(place)
  return () => stockRows(session, sql, Number(way.replace('stock-', '')))
}

/** Of this thread only: on a busy machine a stall may be nobody's fault but the scheduler's. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

async function measure(read: () => Promise<number>) {
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  let lastTick = { at: startedAt, cpuMs: threadCpuMs() }
  let longestStallMs = 0
  let longestWorkMs = 0
  const tick = () => {
    const now = { at: performance.now(), cpuMs: threadCpuMs() }
    longestStallMs = Math.max(longestStallMs, now.at - lastTick.at)
    longestWorkMs = Math.max(longestWorkMs, now.cpuMs - lastTick.cpuMs)
    lastTick = now
  }
  // More often would cost what it is to find: an engine may be waited for for seconds.
  const ticker = setInterval(tick, 5)
  const rows = await read()
  tick()
  clearInterval(ticker)
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    rows,
    ms: performance.now() - startedAt,
    'CPU ms': (user + system) / 1000,
    'longest stall ms': longestStallMs,
    'of it our CPU ms': longestWorkMs,
    'peak RSS MB': process.resourceUsage().maxRSS / 1024,
  }
}

const read = await openWay()
let result = await measure(read)
for (let count = 1; count < Number(readings); count++) result = await measure(read)
console.log(JSON.stringify(result))
process.exit(0)
