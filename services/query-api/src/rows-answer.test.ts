import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { RequestEnv } from './request-env.ts'
import { answerRows, type Rows } from './rows-answer.ts'

const batches = 50

/** As fast as an engine can be: each batch is there when it is asked for. */
async function* rows(): Rows {
  for (let number = 1; number <= batches; number++) yield { columns: ['x'], rowCount: 1, values: [[number]] }
  return { truncated: false, next: null, coverage: { history: null, recent: null, mayLack: [], cursor: null } }
}

test('others get their turn before each batch is written, however fast an engine is', async () => {
  const app = new Hono<RequestEnv>()
  app.get('/', (c) => answerRows(c, { format: 'ndjson', columns: { x: 'integer' }, rows: rows() }))
  let turns = 0
  let other = setImmediate(function takeTurn() {
    turns++
    other = setImmediate(takeTurn)
  })
  const text = await (await app.request('/')).text()
  clearImmediate(other)
  expect(text.split('\n')).toHaveLength(batches + 2)
  expect(turns).toBeGreaterThanOrEqual(batches)
})
