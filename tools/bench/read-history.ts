// Reads a whole table once, by our warehouse or by hive-driver as published, and prints what that took.
// argv: warehouse | stock-FETCHSIZE, url, table
import { createHs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { parseHs2Url } from '@flasktoria/warehouse/hs2-url'
import { HiveClient, HiveUtils, auth, connections, thrift } from 'hive-driver'

const [way, url, table] = process.argv.slice(2) as [string, string, string]
const sql = `SELECT ts, sensor, uuid, value FROM ${table}`

/** Reads everything; `begin` is called when there is a session: from the question to the last row is measured. */
async function readByWarehouse(begin: () => void): Promise<number> {
  const warehouse = await createHs2Warehouse({ url })
  let rows = 0
  const deadline = { signal: AbortSignal.timeout(120_000), deadlineMs: 120_000, maxRows: 10_000_000 }
  await warehouse.execute('SELECT 1', deadline)
  begin()
  for await (const { rowCount } of warehouse.query(sql, deadline)) rows += rowCount
  return rows
}

async function readByStock(fetchSize: number, begin: () => void): Promise<number> {
  const [endpoint] = parseHs2Url(url).endpoints
  const client = new HiveClient(thrift.TCLIService, thrift.TCLIService_types)
  await client.connect({ ...endpoint!, options: {} }, new connections.TcpConnection(), new auth.NoSaslAuthentication())
  const { HIVE_CLI_SERVICE_PROTOCOL_V10: client_protocol } = thrift.TCLIService_types.TProtocolVersion
  const session = await client.openSession({ client_protocol })
  begin()
  const operation = await session.executeStatement(sql, { runAsync: true })
  operation.setMaxRows(fetchSize)
  const utils = new HiveUtils(thrift.TCLIService_types)
  await utils.waitUntilReady(operation, false, () => {})
  await utils.fetchAll(operation)
  return utils.getResult(operation).getValue().length
}

let startedAt = 0
let cpuBefore = process.cpuUsage()
let lastTick = 0
let longestStallMs = 0
const begin = () => {
  startedAt = lastTick = performance.now()
  cpuBefore = process.cpuUsage()
}
const ticker = setInterval(() => {
  const now = performance.now()
  if (startedAt > 0) longestStallMs = Math.max(longestStallMs, now - lastTick)
  lastTick = now
}, 1)

const rows = await (way === 'warehouse'
  ? readByWarehouse(begin)
  : readByStock(Number(way.replace('stock-', '')), begin))
const { user, system } = process.cpuUsage(cpuBefore)
longestStallMs = Math.max(longestStallMs, performance.now() - lastTick)
clearInterval(ticker)
console.log(
  JSON.stringify({
    rows,
    totalMs: performance.now() - startedAt,
    cpuMs: (user + system) / 1_000,
    longestStallMs,
    rssMb: process.memoryUsage.rss() / 2 ** 20,
  }),
)
process.exit(0)
