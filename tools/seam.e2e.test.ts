import type { SensordataUpdate } from '@flasktoria/contracts/updates'
import { configSchema as ingestSchema, optionNames as ingestNames } from '@flasktoria/kafka-ingest/config'
import { start as startIngest } from '@flasktoria/kafka-ingest/main'
import { parseCursor } from '@flasktoria/live-log/cursor'
import { createMemoryFeeds } from '@flasktoria/live-log/feeds-memory'
import type { Entry } from '@flasktoria/live-log/log'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { configSchema as querySchema, optionNames as queryNames } from '@flasktoria/query-api/config'
import { start as startQueryApi } from '@flasktoria/query-api/main'
import { readConfig } from '@flasktoria/service-kit/config'
import { createLogger } from '@flasktoria/service-kit/logger'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'

type History = {
  rows: { timestamp: number; value: number }[]
  coverage: { mayLack: unknown[]; cursor: string; history: { from: number; to: number } | null }
}

const speed = 'pid_13_mode_1'
const windowMs = 20_000

/** Ingest with a simulated fleet, its history writer, and query-api over both; and everything that the log ever said of speeds. */
async function startAll() {
  const directory = mkdtempSync(join(tmpdir(), 'flasktoria-seam-'))
  const parts = new AsyncDisposableStack()
  onTestFinished(async () => {
    await parts.disposeAsync()
    rmSync(directory, { recursive: true, force: true })
  })
  const [log, feeds, logger] = [createMemoryLog(), createMemoryFeeds(), createLogger('seam', 'silent')]
  const said: { seq: number; vehicle: string; timestamp: number }[] = []
  const hear = (entries: readonly Entry[]) => {
    for (const { kind, seq, vehicle, sensor, json } of entries)
      if (kind === 'sensordata' && sensor === speed)
        for (const { timestamp } of (JSON.parse(json) as SensordataUpdate).values)
          said.push({ seq, vehicle, timestamp })
  }
  await log.follow({ onSnapshot: ({ recent }) => hear(recent), onEntries: hear })
  const query = { PORT: '0', WAREHOUSE: 'duckdb', HISTORY_DIR: directory, WINDOW_MS: String(windowMs) }
  const api = parts.use(await startQueryApi(readConfig(querySchema, query, queryNames), { reader: log, feeds, logger }))
  const ingest = {
    PORT: '0',
    SOURCE: 'simulator',
    SIMULATOR_VEHICLES: '200',
    HISTORY_DIR: directory,
    HISTORY_FLUSH_INTERVAL_MS: '1000',
  }
  parts.use(await startIngest(readConfig(ingestSchema, ingest, ingestNames), { log, feeds, logger }))
  const ask = async (vehicle: string, from: number) => {
    const path = `/api/v1/vehicles/${encodeURIComponent(vehicle)}/history?sensors=${speed}&from=${from}`
    const response = await api.app.request(path)
    expect(response.status).toBe(200)
    return (await response.json()) as History
  }
  return { said, ask }
}

test('a fleet is asked about while it drives: each reading once, up to the cursor, on both sides of the seam', async () => {
  const begin = Date.now()
  const { said, ask } = await startAll()
  await expect.poll(() => said.length, { timeout: 20_000 }).toBeGreaterThan(200)
  let [complete, older] = [0, 0]
  for (const end = begin + windowMs * 2; Date.now() < end; await sleep(100)) {
    const { vehicle } = said[Math.floor(Math.random() * said.length)]!
    const { rows, coverage } = await ask(vehicle, begin)
    const times = rows.map(({ timestamp }) => timestamp)
    expect(times).toEqual([...new Set(times)].toSorted((a, b) => a - b))
    if (coverage.mayLack.length > 0) continue
    const { seq } = parseCursor(coverage.cursor)!
    const expected = said.filter((one) => one.vehicle === vehicle && one.seq <= seq && one.timestamp >= begin)
    const answered = new Set(times)
    expect(expected.filter(({ timestamp }) => !answered.has(timestamp))).toEqual([])
    complete++
    if (times.some((timestamp) => timestamp < Date.now() - windowMs)) older++
  }
  expect(complete).toBeGreaterThan(20)
  // Some of it was no longer in the window: the history had it.
  expect(older).toBeGreaterThan(5)
})
