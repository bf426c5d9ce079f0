import { parseHs2Url } from '@flasktoria/warehouse/hs2-url'
import { auth, connections, HiveClient, HiveUtils, thrift } from 'hive-driver'

const { TCLIService, TCLIService_types: types } = thrift
const utils = new HiveUtils(types)

/** A session by hive-driver as published. */
export async function stockSession(url: string) {
  const [endpoint] = parseHs2Url(url).endpoints
  const client = new HiveClient(TCLIService, types)
  await client.connect({ ...endpoint!, options: {} }, new connections.TcpConnection(), new auth.NoSaslAuthentication())
  return client.openSession({ client_protocol: types.TProtocolVersion.HIVE_CLI_SERVICE_PROTOCOL_V10 })
}
export type StockSession = Awaited<ReturnType<typeof stockSession>>

/** Asks, and waits until the engine is done. */
export async function stockOperation(session: StockSession, sql: string) {
  const operation = await session.executeStatement(sql, { runAsync: true })
  await utils.waitUntilReady(operation, false, () => {})
  return operation
}

export async function stockRows(session: StockSession, sql: string, fetchSize: number): Promise<number> {
  const operation = await stockOperation(session, sql)
  operation.setMaxRows(fetchSize)
  await utils.fetchAll(operation)
  const rows = utils.getResult(operation).getValue().length
  await operation.close()
  return rows
}
