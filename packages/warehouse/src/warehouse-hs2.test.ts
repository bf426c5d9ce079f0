import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { expectedRow } from './hs2-fake-engine.test-server.ts'
import { FakeImpala } from './hs2-fake-impala.test-server.ts'
import {
  createHs2Warehouse,
  type Hs2Warehouse,
  type Hs2WarehouseOptions,
  type StatementReport,
} from './warehouse-hs2.ts'
import type { Cell, QueryOptions } from './warehouse.ts'

const warehouses: Hs2Warehouse[] = []
afterEach(async () => {
  await Promise.all(warehouses.splice(0).map((warehouse) => warehouse.close()))
})

async function open(fake: FakeImpala | string, options: Partial<Hs2WarehouseOptions> = {}) {
  const reports: StatementReport[] = []
  const url = typeof fake === 'string' ? fake : fake.url
  const onStatement = (report: StatementReport) => reports.push(report)
  const warehouse = await createHs2Warehouse({ url, answerWithinMs: 500, probeAfterMs: 20, onStatement, ...options })
  warehouses.push(warehouse)
  return { warehouse, reports }
}

const query = (warehouse: Hs2Warehouse, sql: string, options: Partial<QueryOptions> = {}) =>
  warehouse.query(sql, { signal: new AbortController().signal, deadlineMs: 5000, maxRows: 100_000, ...options })

async function rowsOf(warehouse: Hs2Warehouse, sql: string, options: Partial<QueryOptions> = {}): Promise<Cell[][]> {
  const rows: Cell[][] = []
  for await (const { rowCount, values } of query(warehouse, sql, options))
    for (let row = 0; row < rowCount; row++) rows.push(values.map((column) => column[row]!))
  return rows
}
const rowsUpTo = (count: number) => Array.from({ length: count }, (_, index) => [...expectedRow(index)])

async function eventually(check: () => boolean): Promise<void> {
  const endsAt = performance.now() + 3000
  while (!check()) {
    if (performance.now() > endsAt) throw new Error('it did not come about within 3 s')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
const callsOf = (fake: FakeImpala, method: string) => fake.calls.filter((call) => call.endsWith(`:${method}`))
/** The connections over which a method was called. */
const connectionsOf = (fake: FakeImpala, method: string) =>
  callsOf(fake, method).map((call) => Number.parseInt(call, 10))

describe('a query', () => {
  it('gives all rows, by column, and leaves nothing in the engine', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 100, stillExecuting: 1 })
    const { warehouse, reports } = await open(fake)
    await expect(rowsOf(warehouse, 'ROWS 1234')).resolves.toEqual(rowsUpTo(1234))
    await eventually(() => reports.length === 1)
    expect(reports[0]).toMatchObject({
      outcome: 'ok',
      rows: 1234,
      attempt: 1,
      queryId: expect.stringMatching(/^[0-9a-f]{16}:[0-9a-f]{16}$/),
    })
    expect(fake.open.size).toBe(0)
    expect(callsOf(fake, 'CancelOperation')).toEqual([])
    expect(warehouse.usage()).toMatchObject({ idle: 1, busy: 0 })
  })

  it('fetches when it is asked, not before', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 10 })
    const { warehouse } = await open(fake)
    const batches = query(warehouse, 'ROWS 1000')[Symbol.asyncIterator]()
    await batches.next()
    await batches.next()
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(callsOf(fake, 'FetchResults')).toHaveLength(2)
    await batches.return?.()
  })

  it('fails when it has more rows than asked for, after giving those that fit', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 10 })
    const { warehouse } = await open(fake)
    let rows = 0
    const reading = (async () => {
      for await (const batch of query(warehouse, 'ROWS 1000', { maxRows: 25 })) rows += batch.rowCount
    })()
    await expect(reading).rejects.toMatchObject({ kind: 'too_large' })
    expect(rows).toBe(20)
    await eventually(() => fake.open.size === 0)
  })

  it('that the engine refuses, or breaks, is an error of the statement and not tried again', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    await expect(rowsOf(warehouse, 'REFUSE AnalysisException: no such table')).rejects.toMatchObject({
      kind: 'statement',
      sqlState: 'HY000',
    })
    await expect(rowsOf(warehouse, 'BREAK Disk full\n\tat a.b.C')).rejects.toMatchObject({
      kind: 'statement',
      message: expect.stringMatching(/^Disk full \(query [0-9a-f:]{33} at 127\.0\.0\.1:\d+\)$/),
    })
    expect(fake.statements).toHaveLength(2)
    await eventually(() => fake.open.size === 0)
  })

  it('is told by the engine when that is short of something', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    fake.refusals.push({ text: 'Rejected query from pool default-pool: queue full' })
    await expect(rowsOf(warehouse, 'ROWS 1')).rejects.toMatchObject({ kind: 'overloaded' })
  })
})

describe('a query that nobody waits for any more', () => {
  const cases: [string, (run: { controller: AbortController; warehouse: Hs2Warehouse }) => Promise<unknown>, string][] =
    [
      [
        'because its caller gave up',
        ({ controller, warehouse }) => {
          setTimeout(() => controller.abort(), 50)
          return rowsOf(warehouse, 'RUN 60000', { signal: controller.signal })
        },
        'cancelled',
      ],
      ['because its time is over', ({ warehouse }) => rowsOf(warehouse, 'RUN 60000', { deadlineMs: 50 }), 'timeout'],
    ]

  it.each(cases)('%s is cancelled over another connection', async (_, run, kind) => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    await expect(run({ controller: new AbortController(), warehouse })).rejects.toMatchObject({ kind })
    await eventually(() => fake.open.size === 0 && warehouse.usage().idle === 1)
    const [executed] = connectionsOf(fake, 'ExecuteStatement')
    const [cancelled] = connectionsOf(fake, 'CancelOperation')
    expect(cancelled).not.toBe(executed)
    await expect(rowsOf(warehouse, 'ROWS 1')).resolves.toEqual(rowsUpTo(1))
    expect(connectionsOf(fake, 'ExecuteStatement')).toEqual([executed, executed])
  })

  it('because the loop was left is cancelled', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 1 })
    const { warehouse, reports } = await open(fake)
    for await (const _ of query(warehouse, 'ROWS 1000')) break
    await eventually(() => fake.open.size === 0)
    expect(callsOf(fake, 'CancelOperation')).toHaveLength(1)
    await eventually(() => reports.length === 1)
    expect(reports[0]).toMatchObject({ outcome: 'cancelled', rows: 1 })
  })

  it('because its reader fell asleep is cancelled at its deadline', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 1 })
    const { warehouse } = await open(fake)
    const batches = query(warehouse, 'ROWS 1000', { deadlineMs: 100 })[Symbol.asyncIterator]()
    await batches.next()
    await eventually(() => fake.open.size === 0 && warehouse.usage().busy === 0)
    await expect(batches.next()).rejects.toMatchObject({ kind: 'timeout' })
    await rowsOf(warehouse, 'ROWS 0')
    expect(callsOf(fake, 'FetchResults')).toHaveLength(2)
  })

  it.each([
    ['its time is over', { deadlineMs: 50, abortAfterMs: 60_000 }],
    ['its caller gave up', { deadlineMs: 60_000, abortAfterMs: 50 }],
  ])('while the engine still plans costs its connection when no handle comes: %s', async (_, times) => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake, { answerWithinMs: 100 })
    const started = performance.now()
    const options = { deadlineMs: times.deadlineMs, signal: AbortSignal.timeout(times.abortAfterMs) }
    await expect(rowsOf(warehouse, 'HANG', options)).rejects.toMatchObject({ name: 'WarehouseError' })
    expect(performance.now() - started).toBeLessThan(500)
    await eventually(() => warehouse.usage().busy === 0)
    await expect(rowsOf(warehouse, 'ROWS 2')).resolves.toEqual(rowsUpTo(2))
  })

  it('is cancelled also when the connection for that was lost since the last time', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    for (let count = 1; count <= 2; count++) {
      await expect(rowsOf(warehouse, 'RUN 60000', { deadlineMs: 50 })).rejects.toMatchObject({ kind: 'timeout' })
      await eventually(() => fake.open.size === 0 && warehouse.usage().busy === 0)
      fake.hangUp()
      await eventually(() => warehouse.usage().idle === 0)
    }
  })

  it('is cancelled also when the connection for that is lost while it is cancelled', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    fake.mute.add('CancelOperation')
    await expect(rowsOf(warehouse, 'RUN 60000', { deadlineMs: 50 })).rejects.toMatchObject({ kind: 'timeout' })
    await eventually(() => callsOf(fake, 'CancelOperation').length === 1)
    fake.mute.clear()
    fake.hangUp()
    await eventually(() => fake.open.size === 0)
  })

  it('is not begun when its signal was aborted before', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    await expect(rowsOf(warehouse, 'ROWS 1', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      kind: 'cancelled',
    })
    expect(fake.statements).toEqual([])
  })

  it('is rejected at its deadline when the server is frozen', async () => {
    const file = join(import.meta.dirname, 'hs2-fake-impala.test-server.ts')
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
      const { warehouse } = await open(`hive2://127.0.0.1:${port}/`, { answerWithinMs: 100 })
      child.kill('SIGSTOP')
      const started = performance.now()
      await expect(rowsOf(warehouse, 'ROWS 1', { deadlineMs: 200 })).rejects.toMatchObject({ kind: 'timeout' })
      expect(performance.now() - started).toBeLessThan(400)
    } finally {
      child.kill('SIGKILL')
    }
  })
})

describe('a lost connection', () => {
  it('before the first row is made up for by a new one', async () => {
    await using fake = await FakeImpala.listen({ cutAfterBytes: (connection) => (connection === 0 ? 900 : Infinity) })
    const { warehouse, reports } = await open(fake)
    await expect(rowsOf(warehouse, 'ROWS 20')).resolves.toEqual(rowsUpTo(20))
    await eventually(() => reports.length === 2)
    expect(reports.map(({ outcome }) => outcome).toSorted()).toEqual(['ok', 'unavailable'])
  })

  it('after the first row is an error: never a short answer, never a row twice', async () => {
    await using fake = await FakeImpala.listen({ batchRows: 10 })
    const { warehouse } = await open(fake)
    const batches = query(warehouse, 'ROWS 1000')[Symbol.asyncIterator]()
    await batches.next()
    fake.hangUp()
    await expect(batches.next()).rejects.toMatchObject({ kind: 'unavailable' })
    expect(fake.statements).toHaveLength(1)
  })

  it.each([
    'Invalid session id: 1:2',
    'Session expired due to more than 900s of inactivity',
    'x.SparkFileNotFoundException: File file:/merged/1-2.parquet does not exist',
  ])('or a lost session (%s) is made up for, once for all idle ones', async (text) => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    await Promise.all([1, 2, 3].map(() => rowsOf(warehouse, 'RUN 30')))
    fake.refusals.push({ text })
    await expect(rowsOf(warehouse, 'ROWS 1')).resolves.toEqual(rowsUpTo(1))
    expect(fake.refusals).toEqual([])
    expect(warehouse.failing()).toBeUndefined()
    await eventually(() => warehouse.usage().idle === 1)
  })

  it('is tried twice more, then it is the answer', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    for (let index = 0; index < 5; index++) fake.refusals.push({ text: 'Server is being shut down' })
    await expect(rowsOf(warehouse, 'ROWS 1')).rejects.toMatchObject({ kind: 'unavailable' })
    expect(fake.statements).toHaveLength(3)
  })

  it('under a statement that changes something is never tried again', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    fake.mute.add('GetOperationStatus')
    const executed = warehouse.execute('ROWS 0', { signal: new AbortController().signal, deadlineMs: 5000 })
    await eventually(() => callsOf(fake, 'GetOperationStatus').length === 1)
    fake.hangUp()
    await expect(executed).rejects.toMatchObject({ kind: 'unavailable' })
    expect(fake.statements).toHaveLength(1)
  })

  it('before such a statement was sent is made up for', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake)
    fake.refusals.push({ text: 'Invalid session id: 1:2', isInvalidHandle: true })
    await warehouse.execute('ROWS 0', { signal: new AbortController().signal, deadlineMs: 5000 })
    expect(fake.statements).toHaveLength(2)
  })
})

describe('a server', () => {
  it('that is down is unavailable within 100 ms once that is known, and back when it is back', async () => {
    const fake = await FakeImpala.listen()
    const { port } = fake
    const { warehouse } = await open(fake)
    await fake[Symbol.asyncDispose]()
    for (let count = 0; count < 3; count++)
      await expect(rowsOf(warehouse, 'ROWS 1')).rejects.toMatchObject({ kind: 'unavailable' })
    expect(warehouse.failing()).toMatch(/ECONNREFUSED/)
    const started = performance.now()
    await expect(rowsOf(warehouse, 'ROWS 1')).rejects.toMatchObject({ kind: 'unavailable' })
    expect(performance.now() - started).toBeLessThan(100)
    await using again = await FakeImpala.listen({}, port)
    await eventually(() => again.connections > 0 && warehouse.failing() === undefined)
    await expect(rowsOf(warehouse, 'ROWS 1')).resolves.toEqual(rowsUpTo(1))
  })

  it('that is down at the start does not keep the warehouse from being there when the server comes', async () => {
    const fake = await FakeImpala.listen()
    const { port, url } = fake
    await fake[Symbol.asyncDispose]()
    const { warehouse } = await open(url)
    expect(() => warehouse.dialect).toThrow(expect.objectContaining({ kind: 'unavailable' }))
    await using again = await FakeImpala.listen({}, port)
    await eventually(() => again.connections > 0 && warehouse.failing() === undefined)
    expect(warehouse.dialect.name).toBe('impala')
  })

  it('that is slow at the start is waited for', async () => {
    await using fake = await FakeImpala.listen({ pieceBytes: 1 })
    const { warehouse } = await open(fake, { maxWaitMs: 1 })
    expect(warehouse.dialect.name).toBe('impala')
  })

  it('that is silent at the start is waited for no longer than was said, and used when it answers', async () => {
    await using fake = await FakeImpala.listen()
    fake.mute.add('OpenSession')
    const started = performance.now()
    const { warehouse } = await open(fake, { waitForFirstMs: 50, openSessionWithinMs: 1000 })
    expect(performance.now() - started).toBeLessThan(900)
    expect(warehouse.failing()).toBe('no server has answered yet')
    expect(() => warehouse.dialect).toThrow(/no server has answered yet/)
    fake.mute.clear()
    await eventually(() => warehouse.failing() === undefined)
    await expect(rowsOf(warehouse, 'ROWS 1')).resolves.toEqual(rowsUpTo(1))
  })

  it('that goes down leaves the work to the other coordinators', async () => {
    await using one = await FakeImpala.listen()
    await using two = await FakeImpala.listen()
    const { warehouse } = await open(`hive2://127.0.0.1:${one.port},127.0.0.1:${two.port}/`)
    for (let count = 0; count < 4; count++) await rowsOf(warehouse, 'RUN 1')
    await one[Symbol.asyncDispose]().catch(() => {})
    for (let count = 0; count < 20; count++) await rowsOf(warehouse, 'RUN 1')
    expect(warehouse.failing()).toBeUndefined()
  })
})

describe('sessions', () => {
  it.each([
    ['Impala', 'impala'],
    ['Spark SQL', 'spark'],
    ['Apache Kyuubi', 'spark'],
    ['Apache Hive', 'hive'],
  ])('of a server that calls itself %s speak %s', async (engineName, dialect) => {
    await using fake = await FakeImpala.listen({ engineName })
    const { warehouse } = await open(fake)
    expect(warehouse.dialect.name).toBe(dialect)
  })

  it('of a server with another name need to be told', async () => {
    await using fake = await FakeImpala.listen({ engineName: 'Presto' })
    const { warehouse } = await open(fake)
    expect(() => warehouse.dialect).toThrow(/calls itself "Presto"/)
    const told = await open(fake, { dialect: 'hive' })
    expect(told.warehouse.dialect.name).toBe('hive')
  })

  it('have the limits and settings of Impala, and the database', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(`${fake.url}fleet`, { sessionSettings: { MEM_LIMIT: '1g' } })
    await rowsOf(warehouse, 'ROWS 1', { deadlineMs: 2500 })
    expect(fake.settings.at(-1)).toEqual({
      EXEC_TIME_LIMIT_S: '900',
      QUERY_TIMEOUT_S: '60',
      MEM_LIMIT: '1g',
      'use:database': 'fleet',
    })
    expect(fake.overlays).toEqual([{ EXEC_TIME_LIMIT_S: '4' }])
  })

  it('have settings as Hive and Spark write them, and no overlay', async () => {
    await using fake = await FakeImpala.listen({ engineName: 'Apache Hive' })
    const { warehouse } = await open(fake, { sessionSettings: { 'hive.exec.parallel': 'true' } })
    await rowsOf(warehouse, 'ROWS 1')
    expect(fake.settings.at(-1)).toEqual({ 'set:hiveconf:hive.exec.parallel': 'true' })
    expect(fake.overlays).toEqual([{}])
  })

  it('are no more than allowed, however many queries come', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake, { connectionsPerServer: 2 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => rowsOf(warehouse, 'ROWS 3')))
    for (const answer of answers) expect(answer).toEqual(rowsUpTo(3))
    expect(new Set(connectionsOf(fake, 'ExecuteStatement')).size).toBe(2)
  })

  it('are refreshed before a query, at most so often, whether or not that works', async () => {
    await using fake = await FakeImpala.listen()
    const refresh = { statements: ['RUN 1', 'REFUSE AnalysisException: no such table'], everyMs: 60_000 }
    const { warehouse } = await open(fake, { refresh })
    await expect(rowsOf(warehouse, 'ROWS 1')).resolves.toEqual(rowsUpTo(1))
    await expect(rowsOf(warehouse, 'ROWS 2')).resolves.toEqual(rowsUpTo(2))
    expect(fake.statements).toEqual([...refresh.statements, 'ROWS 1', 'ROWS 2'])
    expect(new Set(connectionsOf(fake, 'ExecuteStatement')).size).toBe(1)
    await eventually(() => fake.open.size === 0)
  })

  it('whose refresh takes too long are given back in order', async () => {
    await using fake = await FakeImpala.listen()
    const { warehouse } = await open(fake, { refresh: { statements: ['RUN 60000'], everyMs: 60_000 } })
    await expect(rowsOf(warehouse, 'ROWS 1', { deadlineMs: 50 })).rejects.toMatchObject({ kind: 'timeout' })
    await eventually(() => fake.open.size === 0 && warehouse.usage().idle === 1)
    expect(fake.statements).toEqual(['RUN 60000'])
  })
})

it('closing cancels what runs', async () => {
  await using fake = await FakeImpala.listen()
  const { warehouse } = await open(fake)
  const running = rowsOf(warehouse, 'RUN 60000')
  await eventually(() => fake.open.size === 1)
  const [settled] = await Promise.all([Promise.allSettled([running]), warehouse.close()])
  expect(settled).toMatchObject([{ status: 'rejected', reason: { kind: 'cancelled' } }])
  expect(fake.open.size).toBe(0)
  expect(warehouse.usage()).toMatchObject({ idle: 0, busy: 0, opening: 0 })
  await expect(rowsOf(warehouse, 'ROWS 1')).rejects.toMatchObject({ kind: 'unavailable' })
})
