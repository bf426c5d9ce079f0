import { dayOf, historyTables } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter, type ParquetRow } from '@flasktoria/warehouse/parquet-writer'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { fuelSensor, speedSensor } from './live-answers.ts'
import { ask, createTestApp, position, reading, testNow } from './test-app.ts'

// An hour of two vehicles that both end up in the history; its last minutes are in the window as well, or only there.
const second = 1_000
const minute = 60 * second
const start = testNow - 60 * minute
const vehicles = ['v', 'w']
const times = Array.from({ length: 360 }, (_, index) => start + (index + 1) * 10 * second)
const speedAt = (ts: number) => ((ts / minute) % 7 < 2 ? 0 : 40 + ((ts / second) % 90))
/** Filled up in the last minutes. */
const levelAt = (ts: number) => (ts > testNow - 4 * minute ? 80 : 50 - (ts - start) / (10 * minute))
const longAt = (ts: number) => ((ts - start) / minute) % 9

async function openHistory(to: number) {
  const directory = await mkdtemp(join(tmpdir(), 'flasktoria-handover-'))
  const rows = vehicles.flatMap((vehicle) =>
    times
      .filter((ts) => ts <= to)
      .flatMap((ts): ParquetRow[] => [
        [vehicle, speedSensor, ts, speedAt(ts), '', null, null],
        [vehicle, fuelSensor, ts, levelAt(ts), '', null, null],
        [vehicle, 'gps_coordinates', ts, null, '', 1, longAt(ts)],
      ]),
  )
  const writer = await openParquetWriter({ directory })
  await writer.write(historyTables.sensor, dayOf(start), { stream: 'raw-0', first: 0, last: 1 }, rows)
  await writer.close()
  const warehouse = await createDuckdbWarehouse({ directory })
  onTestFinished(async () => {
    await warehouse.close()
    await rm(directory, { recursive: true })
  })
  return warehouse
}

const entriesAt = (ts: number) =>
  vehicles.flatMap((vehicle) => [
    reading(vehicle, speedSensor, ts, String(speedAt(ts))),
    reading(vehicle, fuelSensor, ts, String(levelAt(ts))),
    position(vehicle, ts, 1, longAt(ts)),
  ])

/** Asked at `asksAt`; it has heard what happened in the last half hour before `testNow` when it did. */
async function createApp(historyTo: number, asksAt = testNow) {
  let now = testNow - 30 * minute
  const warehouse = await openHistory(historyTo)
  const watermark = { completeTo: () => historyTo }
  const { app, hear } = createTestApp({ warehouse, watermark, now: () => now, limits: { rows: 100_000 } })
  for (const ts of times.filter((one) => one > now)) {
    now = ts
    hear(...entriesAt(ts))
  }
  now = asksAt
  return { app, hear }
}

const period = `from=${start}&to=${testNow}`
const questions = [
  ['getStats', `/api/v1/stats?${period}`],
  ['getVehicleStats', `/api/v1/vehicles/w/stats?${period}`],
  ['getHistoryBbox', `/api/v1/history/bbox?west=2&south=0&east=7&north=2&gap=60&${period}`],
] as const

/** An interval that lies across is two, so its means are a little different. */
const withRoundFuel = (answer: object): unknown =>
  JSON.parse(JSON.stringify(answer, (name, value) => (name.startsWith('fuel') ? Math.round(value) : value) as unknown))

test('history and window add up to what the history will say by itself, when the watermark has come so far', async () => {
  const { app } = await createApp(testNow - 15 * second)
  const later = await createApp(testNow, testNow + 60 * minute)
  for (const [id, path] of questions) {
    const { body } = await ask(app, id, path)
    const { coverage, ...answer } = body
    const { coverage: _, ...expected } = (await ask(later.app, id, path)).body
    expect(withRoundFuel(answer)).toEqual(withRoundFuel(expected))
    expect(coverage).toMatchObject({
      history: { from: start, to: testNow - 10 * minute + 10 * second - 1 },
      recent: { from: testNow - 10 * minute + 10 * second, to: testNow },
      mayLack: [],
      cursor: expect.stringMatching(/^test\./),
    })
  }
})

test('what came late and is in the history only later is said', async () => {
  const { app, hear } = await createApp(testNow - 15 * second)
  const path = questions[0][1]
  const before = await ask(app, 'getStats', path)
  hear(...entriesAt(testNow - 40 * minute + 1))
  for (const [id, one] of questions) {
    const { coverage } = (await ask(app, id, one)).body
    expect(coverage.mayLack).toEqual([{ from: testNow - 15 * second, to: testNow, reason: 'not_in_history' }])
  }
  expect((await ask(app, 'getStats', path)).body.rows).toEqual(before.body.rows)
})

test('without a history the window is all there is', async () => {
  const { app, hear } = createTestApp()
  for (const ts of times.slice(-6)) hear(...entriesAt(ts))
  const { body } = await ask(app, 'getStats', `/api/v1/stats?${period}`)
  expect(body.rows.map(({ vehicle, speedReadings }) => [vehicle, speedReadings])).toEqual([
    ['v', 6],
    ['w', 6],
  ])
  expect(body.coverage.history).toBeNull()
})
