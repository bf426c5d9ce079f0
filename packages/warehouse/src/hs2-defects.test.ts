import { spawnSync } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { auth, connections } from 'hive-driver'
import { describe, expect, it } from 'vitest'
import { Hs2Connection, type Hs2ConnectionOptions } from './hs2-connection.ts'
import { exactRow } from './hs2-fake-engine.test-server.ts'
import { FakeImpala } from './hs2-fake-impala.test-server.ts'
import { makeIdentity } from './hs2-identity.test-server.ts'
import { Limit } from './hs2-limit.ts'
import { serversOf } from './hs2-server.ts'
import { Statement } from './hs2-statement.ts'
import {
  askStock,
  stockClient,
  stockFetchAll,
  stockOperation,
  stockRows,
  stockSession,
  v5,
  v6,
  type StockOptions,
} from './hs2-stock.test-server.ts'
import { parseHs2Url } from './hs2-url.ts'
import type { Cell } from './warehouse.ts'

// Each defect of hive-driver 1.0.0 that hs2-client.ts and hs2-connection.ts make up for, shown on both. When one of the halves
// named `stock` fails, hive-driver has changed, and a repair may have become superfluous.

const ours = (fake: { port: number }, query = '', more: Partial<Hs2ConnectionOptions> = {}) => {
  const [server] = serversOf(parseHs2Url(`hive2://ada:right@127.0.0.1:${fake.port}/?auth=NOSASL${query}`))
  const times = { connectWithinMs: 3000, answerWithinMs: 3000 }
  return Hs2Connection.connect({ ...server!, maxMessageBytes: 64 * 2 ** 20, ...times, ...more })
}
async function ourSession(fake: { port: number }, query = '', more: Partial<Hs2ConnectionOptions> = {}) {
  const connection = await ours(fake, query, more)
  await connection.openSession({}, 2000)
  return connection
}
async function ourRows(fake: FakeImpala, sql: string, fetchRows = 100): Promise<Cell[][]> {
  const connection = await ourSession(fake)
  using limit = new Limit(new AbortController().signal, 20_000)
  const statement = new Statement(connection, { sql, limit, hasOverlay: true, fetchRows, graceMs: 200 })
  const rows: Cell[][] = []
  try {
    await statement.start()
    for await (const { rowCount, values } of statement.batches())
      for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
    return rows
  } finally {
    await statement.end(async () => {})
    await connection.close()
  }
}
const unavailable = (message: RegExp) =>
  expect.objectContaining({ name: 'WarehouseError', kind: 'unavailable', message: expect.stringMatching(message) })

const pending = Symbol('pending')
const after = <T>(ms: number, promise: Promise<T>) =>
  Promise.race([promise, new Promise<typeof pending>((resolve) => setTimeout(resolve, ms, pending))])
const polls = (fake: FakeImpala) => fake.calls.filter((call) => call.endsWith('GetOperationStatus')).length

async function silentServer(): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer((socket) => socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}

describe('a socket that drops', () => {
  it('stock: leaves every call under way pending for ever', async () => {
    await using fake = await FakeImpala.listen()
    fake.mute.add('GetInfo')
    const call = askStock(await stockSession(fake))
    setTimeout(() => fake.hangUp(), 20)
    expect(await after(200, call)).toBe(pending)
  })

  it('ours: rejects it, and every later one', async () => {
    await using fake = await FakeImpala.listen()
    fake.mute.add('GetInfo')
    const connection = await ourSession(fake)
    const call = connection.engineName()
    setTimeout(() => fake.hangUp(), 20)
    await expect(call).rejects.toEqual(unavailable(/hung up|ECONNRESET/))
    await expect(connection.engineName()).rejects.toEqual(unavailable(/hung up|ECONNRESET/))
  })
})

describe('a port that nobody listens at', () => {
  it('stock: is connected to, and ends the process', () => {
    const script = `
      const { HiveClient, connections, auth, thrift } = require('hive-driver')
      new HiveClient(thrift.TCLIService, thrift.TCLIService_types)
        .connect({ host: '127.0.0.1', port: 1 }, new connections.TcpConnection(), new auth.NoSaslAuthentication())
        .then(() => console.log('connected'))`
    const options = { cwd: import.meta.dirname, encoding: 'utf8' } as const
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', script], options)
    expect({ stdout, status }).toEqual({ stdout: 'connected\n', status: 1 })
    expect(stderr).toContain('ECONNREFUSED')
  })

  it('ours: rejects', async () => {
    await expect(ours({ port: 1 })).rejects.toEqual(unavailable(/ECONNREFUSED/))
  })
})

describe('an answer in several batches', () => {
  it('stock: is begun anew, which Impala refuses', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 100 })
    const reading = stockFetchAll(await stockOperation(fake, 'ROWS 250'))
    await expect(reading).rejects.toMatchObject({ message: expect.stringContaining('Restarting of fetch') })
  })

  it('ours: is read to its end', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 100 })
    await expect(ourRows(fake, 'ROWS 250')).resolves.toHaveLength(250)
  })
})

describe('a statement that runs for 400 ms', () => {
  it('stock: is asked after without a pause', async () => {
    await using fake = await FakeImpala.listen()
    await stockOperation(fake, 'RUN 400')
    expect(polls(fake)).toBeGreaterThan(100)
  })

  it('ours: is asked after in growing steps, and not found out late', async () => {
    const tookMs: number[] = []
    // A busy machine makes one of them late, not all.
    for (let time = 0; time < 3; time++) {
      await using fake = await FakeImpala.listen()
      const startedAt = performance.now()
      await ourRows(fake, 'RUN 400')
      tookMs.push(performance.now() - startedAt)
      expect(polls(fake)).toBeGreaterThan(2)
      expect(polls(fake)).toBeLessThan(40)
    }
    expect(Math.min(...tookMs)).toBeLessThan(400 * 1.4)
  })
})

describe('a large message in many pieces', () => {
  const rows = 20_000

  it('costs stock quadratic time, and ours linear time', { timeout: 60_000 }, async () => {
    await using fake = await FakeImpala.listen({ batchRows: rows, pieceBytes: 8192 })
    const timed = async (read: () => Promise<unknown>) => {
      const startedAt = performance.now()
      await read()
      return performance.now() - startedAt
    }
    const our = await timed(() => ourRows(fake, `ROWS ${rows}`, rows))
    const stock = await timed(async () => {
      expect(await stockRows(await stockOperation(fake, `ROWS ${rows}`), rows)).toHaveLength(rows)
    })
    expect(stock / our).toBeGreaterThan(4)
  })
})

describe('a certificate that nobody vouches for', () => {
  const tls = makeIdentity()

  it('stock: is good enough, for the password too', async () => {
    await using fake = await FakeImpala.listen({ tls, sasl: { password: 'secret' } })
    const login = new auth.PlainTcpAuthentication({ username: 'ada', password: 'secret' })
    await expect(stockSession(fake, { login, options: { ssl: true } })).resolves.toBeDefined()
  })

  it('ours: is refused before anything is said', async () => {
    await using fake = await FakeImpala.listen({ tls, sasl: { password: 'secret' } })
    await expect(ours(fake, '&tls=true&servername=hive.example')).rejects.toEqual(unavailable(/SELF_SIGNED/))
    expect(fake.calls).toEqual([])
  })
})

describe('options of a statement', () => {
  it('stock: are lost in the Map that it asks for', async () => {
    await using fake = await FakeImpala.listen()
    const confOverlay = new Map([['MEM_LIMIT', '1g']])
    await (await stockSession(fake)).executeStatement('ROWS 1', { runAsync: true, confOverlay })
    expect(fake.overlays).toEqual([{}])
  })

  it('ours: arrive', async () => {
    await using fake = await FakeImpala.listen()
    const connection = await ourSession(fake)
    await connection.execute('ROWS 1', { withinMs: 500, overlay: { MEM_LIMIT: '1g' }, serverTimeLimitS: 1 })
    expect(fake.overlays).toEqual([{ MEM_LIMIT: '1g' }])
    await connection.close()
  })
})

describe('large integers, decimals, and two columns of one name', () => {
  it('stock: are spoilt', async () => {
    await using fake = await FakeImpala.listen()
    expect(await stockRows(await stockOperation(fake, 'EXACT'))).toEqual([
      { large: Infinity, long: Number(exactRow[1]), name: 'right' },
    ])
  })

  it('ours: come exactly', async () => {
    await using fake = await FakeImpala.listen()
    await expect(ourRows(fake, 'EXACT')).resolves.toEqual([[...exactRow]])
  })
})

describe('a server that answers by row', () => {
  it('stock: has no rows', async () => {
    await using fake = await FakeImpala.listen()
    expect(await stockRows(await stockOperation(fake, 'ROWS 5', { protocol: v5 }))).toEqual([])
  })

  it('ours: is refused', async () => {
    await using fake = await FakeImpala.listen({ protocolVersion: v5 })
    await expect(ourSession(fake)).rejects.toEqual(unavailable(/by row/))
  })
})

describe('what a server says of a statement that it refuses', () => {
  it('stock: is no Error, and without its SQLSTATE', async () => {
    await using fake = await FakeImpala.listen()
    const session = await stockSession(fake)
    const failure: unknown = await session.executeStatement('REFUSE x').catch((error: unknown) => error)
    expect(failure).not.toBeInstanceOf(Error)
    expect(failure).not.toHaveProperty('sqlState')
  })

  it('ours: is one, with it', async () => {
    await using fake = await FakeImpala.listen()
    const failure: unknown = await ourRows(fake, 'REFUSE x').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Error)
    expect(failure).toMatchObject({ kind: 'statement', sqlState: 'HY000', message: expect.stringContaining('x (') })
  })
})

describe('a new connection in place of a lost one', () => {
  const login = { mechanism: 'PLAIN', username: 'ada', password: 'right' } as const

  it('stock: is made without a login, and answers nothing', async () => {
    await using fake = await FakeImpala.listen({ sasl: { password: login.password } })
    const options = { login: new auth.PlainTcpAuthentication(login), options: { max_attempts: 1 } }
    const client = await stockClient(fake, options)
    const session = await client.openSession({ client_protocol: v6 })
    fake.hangUp()
    await expect.poll(() => fake.connections).toBe(2)
    expect(await after(200, askStock(session))).toBe(pending)
    client.close()
  })

  it('ours: is made by nobody but the pool, which logs in', async () => {
    await using fake = await FakeImpala.listen({ sasl: { password: login.password } })
    const connection = await ourSession(fake, '', login)
    fake.hangUp()
    await expect.poll(() => connection.failure).toBeDefined()
    await expect(connection.engineName()).rejects.toEqual(unavailable(/hung up|ECONNRESET/))
    expect(fake.connections).toBe(1)
  })
})

describe('a login', () => {
  const login = { mechanism: 'PLAIN', username: 'ada', password: 'right' } as const

  it('stock: waits for ever for a server that says nothing', async () => {
    await using server = await silentServer()
    const connecting = stockClient(server, { login: new auth.PlainTcpAuthentication(login) })
    expect(await after(700, connecting)).toBe(pending)
  })

  it('stock: takes the rest of an answer in two pieces for the next message', async () => {
    await using fake = await FakeImpala.listen({ sasl: { password: login.password, split: true } })
    const opening = stockSession(fake, { login: new auth.PlainTcpAuthentication(login) })
    expect(await after(200, opening)).toBe(pending)
  })

  it('ours: has a deadline', async () => {
    await using server = await silentServer()
    await expect(ours(server, '', { ...login, connectWithinMs: 500 })).rejects.toEqual(
      unavailable(/no connection and login within 500 ms/),
    )
  })

  it('ours: takes an answer in any pieces', async () => {
    await using fake = await FakeImpala.listen({ sasl: { password: login.password, split: true }, pieceBytes: 1 })
    const connection = await ourSession(fake, '', login)
    await expect(connection.engineName()).resolves.toBe('Impala')
    await connection.close()
  })
})

describe('over HTTP', () => {
  const http = { path: '/cliservice', credentials: 'ada:right' }
  const stockOptions = (password: string): StockOptions => ({
    provider: new connections.HttpConnection(),
    login: new auth.PlainHttpAuthentication({ username: 'ada', password }),
    options: { path: http.path },
  })
  const ourSessionAs = (fake: FakeImpala, password: string) =>
    ourSession(fake, '&transportMode=http', { mechanism: 'PLAIN', username: 'ada', password })

  it('stock: waits for ever when it is refused', async () => {
    await using fake = await FakeImpala.listen({ http })
    expect(await after(300, stockSession(fake, stockOptions('wrong')))).toBe(pending)
  })

  it('stock: gives every cookie back that it ever got, attributes too', async () => {
    await using fake = await FakeImpala.listen({ http })
    const session = await stockSession(fake, stockOptions('right'))
    for (let count = 0; count < 2; count++) await askStock(session)
    expect(fake.cookies.at(-1)).toMatch(/turn=1.*HttpOnly.*turn=2/)
  })

  it('ours: is told why it is refused', async () => {
    await using fake = await FakeImpala.listen({ http })
    await expect(ourSessionAs(fake, 'wrong')).rejects.toEqual(unavailable(/login refused: HTTP 401 Unauthorized/))
    fake.httpStatus = 502
    await expect(ourSessionAs(fake, 'right')).rejects.toEqual(unavailable(/the server answered HTTP 502 Bad Gateway/))
  })

  it('ours: gives each cookie back once, as it is now', async () => {
    await using fake = await FakeImpala.listen({ http })
    const connection = await ourSessionAs(fake, 'right')
    for (let count = 0; count < 2; count++) await connection.engineName()
    expect(fake.cookies).toEqual([undefined, 'turn=1', 'turn=2'])
    await connection.close()
  })
})
