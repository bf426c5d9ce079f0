import { setTimeout as delay } from 'node:timers/promises'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { expectedRow } from './hs2-fake-engine.test-server.ts'
import { FakeImpala } from './hs2-fake-impala.test-server.ts'
import { createHs2Warehouse, type Hs2Warehouse } from './warehouse-hs2.ts'
import { WarehouseError, type WarehouseErrorKind } from './warehouse.ts'

/** FAULT_RUNS and FAULT_SEED: more of them, or others. */
const runs = Number(process.env['FAULT_RUNS'] ?? 1000)
const seed = Number(process.env['FAULT_SEED'] ?? 20_261_129)
const atOnce = 10

const milliseconds = (max: number) => fc.integer({ min: 0, max })
const question = fc.record({
  sql: fc.oneof(
    fc.integer({ min: 0, max: 60 }).map((rows) => `ROWS ${rows}`),
    fc.integer({ min: 0, max: 200 }).map((ms) => `RUN ${ms}`),
    fc.constant('BREAK Disk full'),
  ),
  askedAt: milliseconds(100),
  deadlineMs: fc.integer({ min: 20, max: 400 }),
  reader: fc.constantFrom('prompt', 'prompt', 'slow', 'leaves'),
  goneAfterMs: fc.option(milliseconds(200), { nil: undefined }),
})
const fault = fc.oneof(
  fc.record({ kind: fc.constant('cut'), afterBytes: fc.array(milliseconds(3000), { minLength: 1, maxLength: 4 }) }),
  fc.record({ kind: fc.constantFrom('killed', 'frozen'), at: milliseconds(120), forMs: milliseconds(300) }),
  fc.record({ kind: fc.constantFrom('hangs up', 'sessions expire'), at: milliseconds(120) }),
  fc.record({ kind: fc.constant('drips'), pieceBytes: fc.integer({ min: 1, max: 200 }) }),
)
const scenario = fc.record({
  fault,
  isHttp: fc.boolean(),
  questions: fc.array(question, { minLength: 1, maxLength: 5 }),
  batchRows: fc.integer({ min: 1, max: 40 }),
  stillExecuting: fc.integer({ min: 0, max: 2 }),
})
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never
type Fault = typeof fault extends fc.Arbitrary<infer T> ? T : never
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never

const answerWithinMs = 100
/** What a busy machine may be late by. Whoever hangs is later. */
const slackMs = 2000
const possible = new Set<WarehouseErrorKind>(['unavailable', 'overloaded', 'timeout', 'cancelled'])

/** Asks, and checks that the answer is one of those that may be. */
async function ask(
  warehouse: Hs2Warehouse,
  { sql, askedAt, deadlineMs, reader, goneAfterMs }: Question,
): Promise<void> {
  await delay(askedAt)
  const client = new AbortController()
  const gone = goneAfterMs === undefined ? undefined : setTimeout(() => client.abort(), goneAfterMs)
  const startedAt = performance.now()
  const rows: unknown[] = []
  let failure: unknown
  let hasLeft = false
  try {
    for await (const batch of warehouse.query(sql, { signal: client.signal, deadlineMs, maxRows: 1000 })) {
      for (let row = 0; row < batch.rowCount; row++) rows.push(batch.values.map((column) => column[row]))
      if (reader === 'slow') await delay(30)
      hasLeft = reader === 'leaves'
      if (hasLeft) break
    }
  } catch (error) {
    failure = error
  } finally {
    clearTimeout(gone)
  }
  // A reader that is itself asleep comes back late.
  expect(performance.now() - startedAt, 'it hangs').toBeLessThan(deadlineMs + slackMs)
  const whole = Number(/^ROWS (\d+)/.exec(sql)?.[1] ?? 0)
  if (failure === undefined && !hasLeft) expect(rows, 'a short answer').toHaveLength(whole)
  expect(rows).toEqual(rows.map((_, index) => [...expectedRow(index)]))
  if (failure === undefined) return
  expect(failure).toBeInstanceOf(WarehouseError)
  const { kind, message } = failure as WarehouseError
  expect(message).not.toBe('')
  if (kind === 'statement') expect(sql).toMatch(/^BREAK/)
  else expect(possible).toContain(kind)
}

async function strike(fake: FakeImpala, happens: Fault): Promise<void> {
  if ('at' in happens) await delay(happens.at)
  if (happens.kind === 'hangs up') fake.hangUp()
  if (happens.kind === 'sessions expire') fake.expireSessions()
  if (happens.kind === 'killed') await fake.kill()
  if (happens.kind === 'frozen') fake.freeze()
  if ('forMs' in happens) await delay(happens.forMs)
  if (happens.kind === 'killed') await fake.revive()
  fake.thaw()
}

const stillRunning = (fake: FakeImpala) =>
  [...fake.open.values()].filter(({ isKnown, cancelled }) => isKnown && !cancelled)

async function run({ fault: happens, isHttp, questions, batchRows, stillExecuting }: Scenario): Promise<void> {
  const cuts = 'afterBytes' in happens ? happens.afterBytes : []
  await using fake = await FakeImpala.listen({
    batchRows,
    stillExecuting,
    ...(isHttp && { http: { path: '/cliservice' } }),
    cutAfterBytes: (connection) => cuts[connection] ?? Number.POSITIVE_INFINITY,
    ...('pieceBytes' in happens && { pieceBytes: happens.pieceBytes, pieceMs: 1 }),
  })
  const warehouse = await createHs2Warehouse({
    url: isHttp ? `${fake.url}?transportMode=http` : fake.url,
    dialect: 'impala',
    connectionsPerServer: 2,
    maxWaiters: 4,
    maxWaitMs: 200,
    connectWithinMs: 200,
    openSessionWithinMs: 200,
    answerWithinMs,
    probeAfterMs: 10,
  })
  const asked = await Promise.allSettled([...questions.map((asks) => ask(warehouse, asks)), strike(fake, happens)])
  try {
    for (const outcome of asked) if (outcome.status === 'rejected') throw outcome.reason
    await expect.poll(() => warehouse.usage(), { timeout: slackMs }).toMatchObject({ busy: 0, waiting: 0 })
    await expect.poll(() => stillRunning(fake), { timeout: slackMs }).toEqual([])
    // Of these the client never got the handle, as the connection was lost under its question: they end by themselves.
    for (const { timeLimitS } of fake.open.values()) expect([1, 2, 3]).toContain(timeLimitS)
  } finally {
    await warehouse.close()
  }
  expect(warehouse.usage()).toMatchObject({ idle: 0, busy: 0, opening: 0, waiting: 0 })
  await expect.poll(() => fake.peers, { timeout: slackMs }).toBe(0)
}

it(
  `in ${runs} runs with faults nobody hangs, no answer is short, and nothing is left running or open`,
  { timeout: 60_000 + runs * 100 },
  async () => {
    const scenarios = fc.sample(scenario, { numRuns: runs, seed }).entries()
    const failures: string[] = []
    const work = async () => {
      for (const [number, which] of scenarios) {
        if (failures.length > 0) return
        await run(which).catch((error: unknown) =>
          failures.push(`run ${number} of seed ${seed}: ${String(error)}\n${JSON.stringify(which)}`),
        )
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    expect(failures).toEqual([])
  },
)
