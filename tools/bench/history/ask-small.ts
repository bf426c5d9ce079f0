// The measured program of small questions. argv: warehouse|duckdb|engine, url or folder, SQL, clients, questions.
// `engine` is the least that a client can see: two bare calls in a session that is kept, until the result is there. No row is fetched.
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { createHs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { stockOperation, stockSession } from './stock.ts'

const [way, place, sql, clients, questions] = process.argv.slice(2) as [string, string, string, string, string]

const timed = (ask: () => Promise<unknown>) => async () => {
  const startedAt = performance.now()
  await ask()
  return performance.now() - startedAt
}

async function askWarehouse(warehouse: Warehouse): Promise<void> {
  const options = { signal: new AbortController().signal, deadlineMs: 120_000, maxRows: 10_000 }
  for await (const _ of warehouse.query(sql, options));
}

/** One question, and the milliseconds that it took. */
async function openWay(): Promise<() => Promise<number>> {
  const patience = { maxWaitMs: 120_000 }
  if (way === 'duckdb') {
    const warehouse = await createDuckdbWarehouse({ directory: place, ...patience })
    return timed(() => askWarehouse(warehouse))
  }
  if (way === 'warehouse') {
    const warehouse = await createHs2Warehouse({ url: place, ...patience })
    return timed(() => askWarehouse(warehouse))
  }
  const session = await stockSession(place)
  return async () => {
    const startedAt = performance.now()
    const operation = await stockOperation(session, sql)
    const tookMs = performance.now() - startedAt
    await operation.close()
    return tookMs
  }
}

const ask = await openWay()
for (let count = 0; count < 3; count++) await ask()
const took: number[] = []
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
const each = Math.floor(Number(questions) / Number(clients))
const client = async () => {
  for (let count = 0; count < each; count++) took.push(await ask())
}
await Promise.all(Array.from({ length: Number(clients) }, client))
const { user, system } = process.cpuUsage(cpuBefore)
console.log(JSON.stringify({ took, ms: performance.now() - startedAt, cpuMs: (user + system) / 1000 }))
process.exit(0)
