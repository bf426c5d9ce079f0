import { spawn } from 'node:child_process'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Hs2ConnectionOptions } from './hs2-connection.ts'
import { Hs2Connection } from './hs2-connection.ts'
import { expectedRow } from './hs2-fake-engine.test-server.ts'
import { FakeImpala } from './hs2-fake-impala.test-server.ts'
import { makeIdentity } from './hs2-identity.test-server.ts'
import { Limit } from './hs2-limit.ts'
import { Statement } from './hs2-statement.ts'
import type { Cell } from './warehouse.ts'

const unavailable = (message: RegExp) =>
  expect.objectContaining({ name: 'WarehouseError', kind: 'unavailable', message: expect.stringMatching(message) })

const options = (port: number, more: Partial<Hs2ConnectionOptions> = {}): Hs2ConnectionOptions => ({
  endpoint: { host: '127.0.0.1', port },
  mechanism: 'NOSASL',
  username: '',
  password: '',
  tls: undefined,
  http: undefined,
  maxMessageBytes: 1024 * 1024,
  connectWithinMs: 2000,
  answerWithinMs: 2000,
  ...more,
})

async function openSession(port: number, more: Partial<Hs2ConnectionOptions> = {}): Promise<Hs2Connection> {
  const connection = await Hs2Connection.connect(options(port, more))
  await connection.openSession({}, connection.failure ? 0 : 2000)
  return connection
}

async function readAll(connection: Hs2Connection, sql: string): Promise<Cell[][]> {
  using limit = new Limit(new AbortController().signal, 5000)
  const statement = new Statement(connection, { sql, limit, hasOverlay: true, fetchRows: 100, graceMs: 200 })
  const rows: Cell[][] = []
  try {
    await statement.start()
    for await (const { rowCount, values } of statement.batches())
      for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  } finally {
    await statement.end(async () => {})
  }
  return rows
}
const rowsUpTo = (count: number) => Array.from({ length: count }, (_, index) => [...expectedRow(index)])

async function listen(onSocket: (socket: Socket) => void): Promise<Server & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(server, {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
}
const portOf = (server: Server) => (server.address() as AddressInfo).port

describe('connecting', () => {
  it('is rejected when nobody listens, and the process lives on', async () => {
    await expect(Hs2Connection.connect(options(1))).rejects.toEqual(unavailable(/ECONNREFUSED/))
  })

  it('is rejected at its deadline when the server takes the connection and says nothing', async () => {
    await using server = await listen(() => {})
    const silent = Hs2Connection.connect(options(portOf(server), { mechanism: 'PLAIN', connectWithinMs: 100 }))
    await expect(silent).rejects.toEqual(unavailable(/no connection and login within 100 ms/))
  })

  it('is rejected when the server hangs up during the login', async () => {
    await using server = await listen((socket) => socket.once('data', () => socket.destroy()))
    const cut = Hs2Connection.connect(options(portOf(server), { mechanism: 'PLAIN' }))
    await expect(cut).rejects.toEqual(unavailable(/hung up|ECONNRESET/))
  })

  it('proves nothing yet: opening a session has a deadline of its own', async () => {
    await using server = await listen(() => {})
    const connection = await Hs2Connection.connect(options(portOf(server)))
    await expect(connection.openSession({}, 100)).rejects.toEqual(unavailable(/no answer to OpenSession within 100 ms/))
    expect(connection.failure).toBeDefined()
  })

  it.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['a message of gigabytes', Buffer.concat([Buffer.from([0x80, 1, 0, 2]), Buffer.from('7fffffff', 'hex')])],
  ])('to a server that answers %s costs an error', async (_, answer) => {
    await using server = await listen((socket) => socket.on('data', () => socket.write(answer)))
    const connection = await Hs2Connection.connect(options(portOf(server)))
    await expect(connection.openSession({}, 2000)).rejects.toEqual(unavailable(/no HiveServer2 message/))
  })

  it('refuses a server that would answer by row', async () => {
    await using fake = await FakeImpala.listen({ protocolVersion: 4 })
    await expect(openSession(fake.port)).rejects.toEqual(unavailable(/by row/))
  })
})

describe('logging in with PLAIN', () => {
  const login = { mechanism: 'PLAIN', username: 'ada', password: 'right' } as const

  it.each([false, true])('works when the answer is cut in two: %s', async (split) => {
    await using fake = await FakeImpala.listen({ sasl: { password: 'right', split }, pieceBytes: 3 })
    const connection = await openSession(fake.port, login)
    await expect(readAll(connection, 'ROWS 5')).resolves.toEqual(rowsUpTo(5))
    await connection.close()
  })

  it('is rejected with the reason that the server gives', async () => {
    await using fake = await FakeImpala.listen({ sasl: { password: 'other' } })
    await expect(openSession(fake.port, login)).rejects.toEqual(
      unavailable(/login refused: Error validating the login/),
    )
  })
})

describe('TLS', () => {
  const identity = makeIdentity()

  it('refuses a certificate that nobody vouches for', async () => {
    await using fake = await FakeImpala.listen({ tls: identity })
    const tls = { ca: undefined, servername: 'hive.example' }
    await expect(openSession(fake.port, { tls })).rejects.toEqual(unavailable(/SELF_SIGNED/))
  })

  it('refuses a certificate for another name', async () => {
    await using fake = await FakeImpala.listen({ tls: identity })
    const tls = { ca: identity.cert, servername: 'other.example' }
    await expect(openSession(fake.port, { tls })).rejects.toEqual(unavailable(/ERR_TLS_CERT_ALTNAME_INVALID/))
  })

  it('works with the right authority, also for large answers', async () => {
    await using fake = await FakeImpala.listen({ tls: identity, batchRows: 10_000 })
    const connection = await openSession(fake.port, { tls: { ca: identity.cert, servername: 'hive.example' } })
    await expect(readAll(connection, 'ROWS 3000')).resolves.toEqual(rowsUpTo(3000))
    await connection.close()
  })
})

describe('a call', () => {
  it('is rejected when the connection drops, and so is every later one', async () => {
    await using fake = await FakeImpala.listen()
    fake.mute.add('GetInfo')
    const connection = await openSession(fake.port)
    const name = connection.engineName()
    setTimeout(() => fake.hangUp(), 20)
    await expect(name).rejects.toEqual(unavailable(/hung up|ECONNRESET/))
    await expect(connection.engineName()).rejects.toEqual(unavailable(/hung up|ECONNRESET/))
  })

  it('that misses its deadline ends the connection, and every other call on it', async () => {
    await using fake = await FakeImpala.listen()
    fake.mute.add('GetInfo')
    const connection = await openSession(fake.port, { answerWithinMs: 50 })
    const calls = await Promise.allSettled([connection.engineName(), connection.engineName()])
    expect(calls.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(connection.failure).toEqual(unavailable(/no answer to GetInfo within 50 ms/))
  })

  it('to a frozen server is rejected at its deadline', async () => {
    const file = join(import.meta.dirname, 'hs2-fake-impala.test-server.ts')
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
      const connection = await openSession(port, { answerWithinMs: 100 })
      child.kill('SIGSTOP')
      await expect(connection.engineName()).rejects.toEqual(unavailable(/within 100 ms/))
      const next = await Hs2Connection.connect(options(port))
      await expect(next.openSession({}, 100)).rejects.toEqual(unavailable(/within 100 ms/))
    } finally {
      child.kill('SIGKILL')
    }
  })
})

describe('a statement', () => {
  it('gives all rows of an engine that answers in small and empty batches', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 7, stillExecuting: 2 })
    const connection = await openSession(fake.port)
    await expect(readAll(connection, 'ROWS 100')).resolves.toEqual(rowsUpTo(100))
    await connection.close()
  })

  it('gives its rows or an error, wherever the connection is cut', async () => {
    let cutAt = Number.POSITIVE_INFINITY
    await using fake = await FakeImpala.listen({ cutAfterBytes: () => cutAt, batchRows: 3 })
    const attempt = async () => {
      const connection = await openSession(fake.port)
      try {
        return await readAll(connection, 'ROWS 8')
      } finally {
        await connection.close()
      }
    }
    await attempt()
    const allBytes = fake.sentBytes
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: allBytes }), async (at) => {
        cutAt = at
        const rows = await attempt().catch((error: unknown) => error)
        const expected = Array.isArray(rows) ? rowsUpTo(8) : unavailable(/hung up|ECONNRESET|EPIPE/)
        expect(rows).toEqual(expected)
      }),
    )
  })

  it('ends the connection when one message is larger than allowed', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 10_000 })
    const connection = await openSession(fake.port, { maxMessageBytes: 1000 })
    await expect(readAll(connection, 'ROWS 100')).rejects.toMatchObject({ kind: 'too_large' })
    expect(connection.failure).toBeDefined()
  })
})
