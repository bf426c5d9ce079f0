import { dayOf, historyTables } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter, type ParquetRow } from '@flasktoria/warehouse/parquet-writer'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { WarehouseError, type Warehouse } from '@flasktoria/warehouse/warehouse'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { ask, createTestApp, problemOfV1, reading, testNow } from './test-app.ts'

// The answers over real Parquet files, in the layout of the history writer, read by DuckDB.
const hour = 3_600_000
const day = 24 * hour
const begin = testNow - 3 * day

const readings: [sensor: string, timestamp: number, value: number | null][] = [
  ['a', begin, 1],
  ['a', begin + 1, 2],
  ['b', begin + 1, 20],
  ['gear', begin + 1, null],
  ['a', begin + day, 3],
  ['a', testNow - 10, 4],
]

let directory: string
let warehouse: Warehouse
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flasktoria-v1-'))
  const writer = await openParquetWriter({ directory })
  const rows = readings.map(([sensor, ts, value]): ParquetRow => ['v', sensor, ts, value, 'drive', null, null])
  for (const [index, row] of rows.entries())
    await writer.write(
      historyTables.sensor,
      dayOf(row[2] as number),
      { stream: 'topic-0', first: index, last: index },
      // What a producer sent twice stands twice.
      [row, row],
    )
  await writer.close()
  warehouse = await createDuckdbWarehouse({ directory })
})
afterAll(async () => {
  await warehouse.close()
  await rm(directory, { recursive: true })
})

const path = (query: string) => `/api/v1/vehicles/v/history?${query}`
const history = (app: Parameters<typeof ask>[0], query: string) => ask(app, 'getVehicleHistory', path(query))
const all = `sensors=a,b,gear&from=${begin}`
const rowsOf = ({ body }: Awaited<ReturnType<typeof history>>) =>
  body.rows.map(({ sensor, timestamp, value }) => [sensor, timestamp, value])

test('200: readings of several sensors, oldest first, each once, of history and window', async () => {
  const { app, hear } = createTestApp({ warehouse })
  hear(reading('v', 'a', testNow - 10, '99'), reading('v', 'b', testNow - 20, '21'), reading('v', 'a', testNow, '5'))
  const answer = await history(app, all)
  expect(answer.status).toBe(200)
  expect(rowsOf(answer)).toEqual([
    ['a', begin, 1],
    ['a', begin + 1, 2],
    ['b', begin + 1, 20],
    ['a', begin + day, 3],
    ['b', testNow - 20, 21],
    ['a', testNow - 10, 4],
    ['a', testNow, 5],
  ])
  expect(answer.body).toMatchObject({ vehicle: 'v', from: begin, to: testNow, truncated: false, next: null })
  expect(answer.body.coverage.history).toEqual({ from: begin, to: testNow - 60_000 })
})

test('200: a period by RFC 3339, both ends included', async () => {
  const { app } = createTestApp({ warehouse })
  const from = new Date(begin + 1).toISOString()
  expect(rowsOf(await history(app, `sensors=a&from=${from}&to=${begin + day}`))).toEqual([
    ['a', begin + 1, 2],
    ['a', begin + day, 3],
  ])
})

test('200: the last readings, newest first, over history and window alike, and on from there', async () => {
  const { app, hear } = createTestApp({ warehouse })
  hear(reading('v', 'b', testNow - 20, '21'), reading('v', 'a', testNow, '5'))
  const oldestFirst = rowsOf(await history(app, all))
  const last = await history(app, `${all}&order=desc&limit=4`)
  expect(rowsOf(last)).toEqual(oldestFirst.toReversed().slice(0, 4))
  const rest = await history(app, `${all}&order=desc&cursor=${last.body.next}`)
  expect(rowsOf(rest)).toEqual(oldestFirst.toReversed().slice(4))
  expect([last.body.truncated, rest.body.truncated]).toEqual([true, false])
})

test('200: pages go on where the one before ended', async () => {
  const { app, hear } = createTestApp({ warehouse })
  hear(reading('v', 'b', testNow - 20, '21'))
  const whole = rowsOf(await history(app, all))
  for (const limit of [1, 2, 5]) {
    const paged: unknown[] = []
    let next: string | null = ''
    while (next !== null) {
      const answer = await history(app, `${all}&limit=${limit}${next && `&cursor=${next}`}`)
      paged.push(...rowsOf(answer))
      next = answer.body.next
      expect(answer.body.truncated).toBe(next !== null)
    }
    expect(paged).toEqual(whole)
  }
})

test('200: sums of intervals, over history and window alike', async () => {
  const { app, hear } = createTestApp({ warehouse })
  hear(reading('v', 'a', testNow - 20, '10'), reading('v', 'a', testNow - 10, '99'))
  const { body } = await history(app, `sensors=a,b&from=${begin}&agg=min,max,avg,count,last&interval=${day}`)
  const midnight = Math.floor(begin / day) * day
  expect(body.rows).toEqual([
    { sensor: 'a', timestamp: midnight, min: 1, max: 2, avg: 1.5, count: 2, last: 2 },
    { sensor: 'b', timestamp: midnight, min: 20, max: 20, avg: 20, count: 1, last: 20 },
    { sensor: 'a', timestamp: midnight + day, min: 3, max: 3, avg: 3, count: 1, last: 3 },
    { sensor: 'a', timestamp: midnight + 3 * day, min: 4, max: 10, avg: 7, count: 2, last: 4 },
  ])
  const filled = await history(app, `sensors=a&from=${begin}&agg=last,count&interval=${day}&fill=previous`)
  expect(filled.body.rows.map(({ last, count }) => [last, count])).toEqual([
    [2, 2],
    [3, 1],
    [3, 0],
    [4, 2],
  ])
})

test.for(['minmax', 'lttb'])('200: few points that keep the shape: %s', async (downsample) => {
  const { app, hear } = createTestApp({ warehouse })
  hear(...Array.from({ length: 1_000 }, (_, index) => reading('v', 'a', testNow - 1_000 + index, `${index % 7}`)))
  const { body } = await history(app, `sensors=a,b&from=${begin}&maxPoints=20&downsample=${downsample}`)
  const ofA = body.rows.filter(({ sensor }) => sensor === 'a')
  expect(ofA.length).toBeLessThanOrEqual(20)
  expect(ofA[0]).toEqual({ sensor: 'a', timestamp: begin, value: 1 })
  expect(ofA.at(-1)).toMatchObject({ timestamp: testNow - 1 })
  expect(body.rows.filter(({ sensor }) => sensor === 'b')).toHaveLength(1)
})

test('200: NDJSON and CSV, by name or by Accept', async () => {
  const { app } = createTestApp({ warehouse })
  const query = path(`sensors=a&from=${begin}&to=${begin + 1}`)
  const ndjson = await app.request(query, { headers: { Accept: 'application/x-ndjson' } })
  expect(ndjson.headers.get('Content-Type')).toBe('application/x-ndjson')
  expect(ndjson.headers.get('Vary')).toContain('Accept')
  const lines = (await ndjson.text()).trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
    { sensor: 'a', timestamp: begin, value: 1 },
    { sensor: 'a', timestamp: begin + 1, value: 2 },
    { end: { rows: 2, truncated: false, next: null, coverage: expect.any(Object) } },
  ])
  const csv = await app.request(`${query}&format=csv`, { headers: { Accept: 'application/json' } })
  expect(csv.headers.get('Content-Type')).toBe('text/csv; charset=utf-8; header=present')
  expect(await csv.text()).toBe(`sensor,timestamp,value\r\na,${begin},1\r\na,${begin + 1},2\r\n`)
})

test('200: without a history the window is all', async () => {
  const { app, hear } = createTestApp()
  hear(reading('v', 'a', testNow - 5, '1'))
  const answer = await history(app, `sensors=a&from=${begin}`)
  expect(rowsOf(answer)).toEqual([['a', testNow - 5, 1]])
  expect(answer.body.coverage).toMatchObject({
    history: null,
    mayLack: [{ reason: 'before_window' }, { reason: 'before_start' }],
  })
})

test('HEAD has the headers of GET, and leaves nothing running', async () => {
  const limits = { sensorIds: 5, rows: 1_000, historyRequests: 1, fleetPeriodMs: day }
  const { app } = createTestApp({ warehouse, limits })
  for (let round = 0; round < 3; round++) {
    const head = await app.request(path(all), { method: 'HEAD' })
    expect([head.status, head.headers.get('Content-Type'), await head.text()]).toEqual([200, 'application/json', ''])
  }
})

const cursor = (key: unknown) => Buffer.from(JSON.stringify(key)).toString('base64url')

test.for([
  ['', 'sensors', 'from'],
  [`sensors=&from=1`, 'sensors'],
  [`sensors=a,&from=1`, 'sensors'],
  [`sensors=a,b,c,d,e,f&from=1`, 'sensors'],
  [`sensors=a%00&from=1`, 'sensors'],
  ['sensors=a&from=yesterday', 'from'],
  [`sensors=a&from=${testNow + 1}`, 'from'],
  ['sensors=a&from=2&to=1', 'from', 'to'],
  ['sensors=a&from=1&limit=0', 'limit'],
  ['sensors=a&from=1&cursor=!', 'cursor'],
  ['sensors=a&from=1&cursor=abc', 'cursor'],
  [`sensors=a&from=1&cursor=${cursor([1])}`, 'cursor'],
  [`sensors=a&from=1&cursor=${cursor(['1', 'a'])}`, 'cursor'],
  [`sensors=a&from=1&cursor=${cursor([1, "a\u0000' OR 1=1"])}`, 'cursor'],
  ['sensors=a&from=1&agg=min', 'agg', 'interval'],
  ['sensors=a&from=1&interval=60000', 'agg', 'interval'],
  ['sensors=a&from=1&agg=median&interval=60000', 'agg'],
  ['sensors=a&from=1&agg=min&interval=1000', 'interval', 'from', 'to'],
  ['sensors=a&from=1&fill=null', 'fill'],
  ['sensors=a&from=1&downsample=lttb', 'downsample'],
  ['sensors=a&from=1&maxPoints=3', 'maxPoints'],
  ['sensors=a&from=1&maxPoints=10&limit=5', 'limit'],
  ['sensors=a&from=1&maxPoints=10&order=desc', 'order'],
  ['sensors=a&from=1&order=down', 'order'],
  ['sensors=a&from=1&maxPoints=10&agg=min&interval=60000', 'agg', 'maxPoints'],
  ['sensors=a&from=1&format=xml', 'format'],
  ['sensors=a&from=1&form=csv', 'form'],
  ['sensors=a&from=1&from=2', 'from'],
] as const)('400: %s names %s', async ([query, ...fields]) => {
  expect(await history(createTestApp().app, query)).toMatchObject(problemOfV1(400, ...fields))
})

test('406: a form that there is not', async () => {
  const response = await createTestApp().app.request(path('sensors=a&from=1'), { headers: { Accept: 'image/png' } })
  expect([response.status, await response.json()]).toEqual([406, expect.objectContaining({ code: 'not_acceptable' })])
})

test.for([
  ['unavailable', 503, 'warehouse_unavailable'],
  ['overloaded', 503, 'overloaded'],
  ['timeout', 504, 'query_timeout'],
  ['out_of_memory', 400, 'question_too_large'],
  ['no_table', 503, 'warehouse_unavailable'],
  ['statement', 500, 'internal'],
] as const)('a warehouse that is %s before the first row is answered %i', async ([fail, status, code]) => {
  const { app } = createTestApp({ warehouse: createScriptedWarehouse({ fail }).warehouse })
  for (const format of ['json', 'ndjson', 'csv'])
    expect(await history(app, `${all}&format=${format}`)).toMatchObject({ status, body: { code } })
})

/** One batch, then a failure. */
const breaking = (): Warehouse => ({
  ...createScriptedWarehouse({}).warehouse,
  async *query() {
    yield { columns: [], rowCount: 1, values: [[begin], ['a'], [1]] }
    throw new WarehouseError('unavailable', 'secret detail of the engine')
  },
})

test.for([
  ['json', '"rows":[{"sensor":"a"'],
  ['ndjson', '"code":"warehouse_unavailable"'],
  ['csv', `a,${begin},1\r\n`],
] as const)('an error after the first row cuts %s off, and is counted', async ([format, said]) => {
  const { app, metrics } = createTestApp({ warehouse: breaking() })
  const response = await app.request(path(`${all}&format=${format}`))
  expect(response.status).toBe(200)
  let text = ''
  const read = async () => {
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) text += piece
  }
  await expect(read()).rejects.toThrow('secret')
  expect(text).toContain(said)
  expect(text).not.toContain('secret')
  expect(text).not.toContain('"truncated"')
  expect(await metrics.registry.metrics()).toContain('warehouse_failures_total{kind="unavailable"')
})

test('what nobody reads is not asked for', async () => {
  let batches = 0
  const endless: Warehouse = {
    ...createScriptedWarehouse({}).warehouse,
    // oxlint-disable-next-line require-await -- as engines answer
    async *query() {
      for (;;) yield { columns: [], rowCount: 1, values: [[begin + batches++], ['a'], [1]] }
    },
  }
  const response = await createTestApp({ warehouse: endless }).app.request(path(`${all}&format=csv`))
  const reader = response.body!.getReader()
  for (let piece = 1; piece <= 5; piece++) {
    await reader.read()
    await new Promise((resolve) => setImmediate(resolve))
    expect(batches).toBeLessThanOrEqual(piece + 1)
  }
  await reader.cancel()
})

test('503: more at once than the warehouse may see; who leaves in the midst makes room', async () => {
  const limits = { sensorIds: 5, rows: 1_000, historyRequests: 1, fleetPeriodMs: day }
  const { app } = createTestApp({ warehouse: breaking(), limits })
  const first = await app.request(path(all))
  expect(await history(app, all)).toMatchObject({ status: 503, body: { code: 'overloaded' } })
  await first.body!.cancel()
  expect((await app.request(path(all))).status).toBe(200)
})
