import { auth, connections, HiveClient, HiveUtils, thrift as generated } from 'hive-driver'

// hive-driver as its documentation says, against which our repairs are held.

const { TCLIService, TCLIService_types: types } = generated
export const { HIVE_CLI_SERVICE_PROTOCOL_V5: v5, HIVE_CLI_SERVICE_PROTOCOL_V6: v6 } = types.TProtocolVersion
const utils = new HiveUtils(types)

export type StockOptions = {
  options?: object
  protocol?: number
  provider?: Parameters<HiveClient['connect']>[1]
  login?: Parameters<HiveClient['connect']>[2]
}

export async function stockClient({ port }: { port: number }, { options, provider, login }: StockOptions = {}) {
  const client = new HiveClient(TCLIService, types)
  client.on('error', () => {})
  await client.connect(
    { host: '127.0.0.1', port, ...(options && { options }) },
    provider ?? new connections.TcpConnection(),
    login ?? new auth.NoSaslAuthentication(),
  )
  return client
}

export async function stockSession(server: { port: number }, options: StockOptions = {}) {
  return (await stockClient(server, options)).openSession({ client_protocol: options.protocol ?? v6 })
}
type Session = Awaited<ReturnType<typeof stockSession>>

export const askStock = (session: Session) => session.getInfo(types.TGetInfoType.CLI_DBMS_NAME)

/** One that is done. */
export async function stockOperation(server: { port: number }, sql: string, options: StockOptions = {}) {
  const operation = await (await stockSession(server, options)).executeStatement(sql, { runAsync: true })
  await utils.waitUntilReady(operation, false, () => {})
  return operation
}
type Operation = Awaited<ReturnType<typeof stockOperation>>

/** In hive-driver's own numbering; in Thrift's this is another, and its types don't tell. */
const nextRows = 1 as never

/** Without the question for more, which begins anew. */
export async function stockRows(operation: Operation, fetchRows = 100): Promise<object[]> {
  operation.setMaxRows(fetchRows)
  await operation.fetch(nextRows)
  return utils.getResult(operation).getValue()
}
export const stockFetchAll = (operation: Operation) => utils.fetchAll(operation)
