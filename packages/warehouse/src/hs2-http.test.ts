import { afterEach, expect, it } from 'vitest'
import { CookieJar } from './cookie-jar.ts'
import { expectedRow } from './hs2-fake-engine.test-server.ts'
import { FakeImpala, type FakeImpalaOptions } from './hs2-fake-impala.test-server.ts'
import { makeIdentity } from './hs2-identity.test-server.ts'
import { createHs2Warehouse, type Hs2Warehouse } from './warehouse-hs2.ts'
import type { Cell } from './warehouse.ts'

const open = new Set<Hs2Warehouse>()
afterEach(async () => {
  await Promise.all([...open].map((warehouse) => warehouse.close()))
  open.clear()
})

const path = '/gateway/default/hive'
const listen = (more: FakeImpalaOptions = {}) =>
  FakeImpala.listen({ http: { path, credentials: 'ada:p@ss:w' }, batchRows: 100, ...more })

async function warehouseAt({ port }: FakeImpala, query = '', password = 'p%40ss:w'): Promise<Hs2Warehouse> {
  const url = `hive2://ada:${password}@127.0.0.1:${port}/?transportMode=http&httpPath=gateway/default/hive${query}`
  const warehouse = await createHs2Warehouse({ url, answerWithinMs: 300, maxMessageBytes: 100_000, probeAfterMs: 20 })
  open.add(warehouse)
  return warehouse
}

async function rowsOf(warehouse: Hs2Warehouse, sql: string, deadlineMs = 5000): Promise<Cell[][]> {
  const rows: Cell[][] = []
  const options = { signal: new AbortController().signal, deadlineMs, maxRows: 100_000 }
  for await (const { rowCount, values } of warehouse.query(sql, options))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  return rows
}
const rowsUpTo = (count: number) => Array.from({ length: count }, (_, index) => [...expectedRow(index)])

it('queries through a gateway give all rows, and leave nothing behind', async () => {
  await using fake = await listen({ stillExecuting: 1 })
  const warehouse = await warehouseAt(fake)
  await expect(rowsOf(warehouse, 'ROWS 350')).resolves.toEqual(rowsUpTo(350))
  await warehouse.close()
  expect({ operations: fake.open.size, sessions: fake.sessions.size }).toEqual({ operations: 0, sessions: 0 })
  await expect.poll(() => fake.peers).toBe(0)
})

it('a statement whose time is over is cancelled, by a request of its own', async () => {
  await using fake = await listen()
  const warehouse = await warehouseAt(fake)
  await expect(rowsOf(warehouse, 'RUN 60000', 100)).rejects.toMatchObject({ kind: 'timeout' })
  await expect.poll(() => fake.open.size).toBe(0)
  await expect(rowsOf(warehouse, 'ROWS 1')).resolves.toEqual(rowsUpTo(1))
})

it('all requests to a gateway bring the same cookies, so that they come to the same server', async () => {
  await using fake = await listen()
  const warehouse = await warehouseAt(fake)
  await expect(rowsOf(warehouse, 'RUN 60000', 100)).rejects.toMatchObject({ kind: 'timeout' })
  await expect.poll(() => fake.open.size).toBe(0)
  expect(fake.connections).toBeGreaterThan(1)
  expect(fake.cookies.filter((cookie) => cookie === undefined)).toHaveLength(1)
})

it('a connection that is lost under a query is an error, or made up for', async () => {
  await using fake = await listen()
  const warehouse = await warehouseAt(fake)
  const running = rowsOf(warehouse, 'RUN 60000', 2000)
  await expect.poll(() => fake.open.size).toBe(1)
  await fake.kill()
  await expect(running).rejects.toMatchObject({ kind: 'unavailable' })
  await fake.revive()
  await expect.poll(() => warehouse.failing()).toBeUndefined()
  await expect(rowsOf(warehouse, 'ROWS 1')).resolves.toEqual(rowsUpTo(1))
})

it('a gateway that never answers costs no more than the deadline', async () => {
  await using fake = await listen()
  const warehouse = await warehouseAt(fake)
  fake.freeze()
  const startedAt = performance.now()
  await expect(rowsOf(warehouse, 'ROWS 1', 200)).rejects.toMatchObject({ kind: 'timeout' })
  expect(performance.now() - startedAt).toBeLessThan(500)
})

it('an answer that is too large ends the connection', async () => {
  await using fake = await listen({ batchRows: 10_000 })
  const warehouse = await warehouseAt(fake)
  await expect(rowsOf(warehouse, 'ROWS 10000')).rejects.toMatchObject({ kind: 'too_large' })
})

it.each([
  ['a wrong password', { password: 'wrong' }, 200, /login refused: HTTP 401 Unauthorized/],
  ['a gateway whose server is away', {}, 503, /the server answered HTTP 503 Service Unavailable/],
  ['a gateway that wants to send us elsewhere', {}, 302, /the server answered HTTP 302 Found/],
] as const)('%s is said', async (_, { password }: { password?: string }, status, sentence) => {
  await using fake = await listen()
  fake.httpStatus = status
  const warehouse = await warehouseAt(fake, '', password)
  expect(warehouse.failing()).toMatch(sentence)
})

it('TLS is verified', async () => {
  const tls = makeIdentity()
  await using fake = await listen({ tls })
  const warehouse = await warehouseAt(fake, '&tls=true&servername=hive.example')
  expect(warehouse.failing()).toMatch(/SELF_SIGNED/)
  expect(fake.cookies).toEqual([])
})

it('a cookie jar keeps what is said last, forgets what is over, and does not grow without end', () => {
  const jar = new CookieJar()
  expect(jar.header()).toBeUndefined()
  jar.keep(['a=1; Path=/; HttpOnly', 'b=x=y; Secure', 'nonsense', '=z'])
  jar.keep(['a=2'])
  expect(jar.header()).toBe('b=x=y; a=2')
  jar.keep(['b=; Max-Age=0', 'a=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT'])
  expect(jar.header()).toBeUndefined()
  jar.keep(Array.from({ length: 1000 }, (_, index) => `c${index}=1`))
  expect(jar.header()!.split('; ').length).toBeLessThan(100)
})
