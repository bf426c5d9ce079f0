import { dialects } from '@flasktoria/warehouse/dialects'
import {
  addPartitionsStatement,
  createTableStatement,
  dayOf,
  historyTables,
  listDays,
} from '@flasktoria/warehouse/history-layout'
import { openParquetWriter, type ParquetRow } from '@flasktoria/warehouse/parquet-writer'
import { writeSampleRows } from '@flasktoria/warehouse/queries.conformance'
import { busyVehicle, fleetSensors, lastDay, writeFleetHistory } from '@flasktoria/warehouse/test-fleet'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import { createHs2Warehouse } from '@flasktoria/warehouse/warehouse-hs2'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createTestApp, testNow } from './test-app.ts'

vi.setConfig({ testTimeout: 600_000 })

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

/** The same files behind both engines, and the API over each. */
async function openApps(name: string, fill: (directory: string) => Promise<void>) {
  const directory = mkdtempSync(join(tmpdir(), 'engines-'))
  await fill(directory)
  const database = `engines_${name}_${process.pid}_${Date.now().toString(36)}`
  const options = { signal: AbortSignal.timeout(600_000), deadlineMs: 120_000 }
  const owner = await createHs2Warehouse({ url: url!, openSessionWithinMs: 60_000 })
  await owner.execute(`CREATE DATABASE ${database}`, options)
  for (const table of Object.values(historyTables)) {
    const qualified = `${database}.${table.name}`
    await owner.execute(createTableStatement(dialects.spark, qualified, table, `file://${directory}`), options)
    const days = await listDays(directory, table)
    if (days.length > 0) await owner.execute(addPartitionsStatement(dialects.spark, qualified, days), options)
  }
  const inDatabase = new URL(url!)
  inDatabase.pathname = `/${database}`
  const hs2 = await createHs2Warehouse({ url: inDatabase.href, openSessionWithinMs: 60_000, maxWaitMs: 60_000 })
  const duckdb = await createDuckdbWarehouse({ directory })
  onTestFinished(async () => {
    await owner.execute(`DROP DATABASE ${database} CASCADE`, options)
    await Promise.all([owner.close(), hs2.close(), duckdb.close()])
    rmSync(directory, { recursive: true })
  })
  const appOver = (warehouse: typeof duckdb) =>
    createTestApp({
      warehouse,
      deadlineMs: 120_000,
      limits: { sensorIds: 50, rows: 500_000, historyRequests: 8, fleetPeriodMs: 400 * 86_400_000 },
    }).app
  return [appOver(duckdb), appOver(hs2)] as const
}

const day = 86_400_000

function pathsOf(vehicle: string, { from, to, sensors }: { from: number; to: number; sensors: string }) {
  const [period, id] = [`from=${from}&to=${to}`, encodeURIComponent(vehicle)]
  const history = `/api/v1/vehicles/${id}/history?${period}&sensors=${encodeURIComponent(sensors)}`
  return [
    `/api/sensordata/${id}?start_ts=${from}&end_ts=${to}&sensor_ids=${encodeURIComponent(sensors)}`,
    `/api/anomalies?start_ts=${from}&end_ts=${to}`,
    ...['json', 'ndjson', 'csv', 'parquet'].map((format) => `${history}&format=${format}`),
    `${history}&limit=7`,
    `${history}&order=desc`,
    `${history}&order=desc&limit=7`,
    `${history}&maxPoints=100`,
    `${history}&maxPoints=50&downsample=lttb`,
    `${history}&agg=min,max,count,last&interval=${day}&fill=previous`,
    ...['json', 'ndjson', 'csv'].map((format) => `/api/v1/anomalies?${period}&format=${format}`),
    `/api/v1/anomalies?${period}&limit=5&severity=high,low`,
    `/api/v1/anomalies?${period}&order=asc`,
    ...['type', 'vehicle', 'severity', 'hour', 'day'].map((by) => `/api/v1/anomalies/counts?${period}&by=${by}`),
    `/api/v1/vehicles/${id}/track?${period}`,
    `/api/v1/vehicles/${id}/track?${period}&format=geojson`,
    `/api/v1/vehicles/${id}/trips?${period}`,
    `/api/v1/fleet?at=${to}`,
    `/api/v1/history/bbox?${period}&west=-180&south=-80&east=180&north=80`,
    `/api/v1/vehicles/${id}/stats?${period}`,
    `/api/v1/stats?${period}`,
  ]
}

async function bothAnswer(apps: Awaited<ReturnType<typeof openApps>>, paths: readonly string[]): Promise<number> {
  let bytes = 0
  for (const path of paths) {
    const [ours, theirs] = await Promise.all(
      apps.map(async (app) => {
        const response = await app.request(path)
        return { path, status: response.status, text: await response.text() }
      }),
    )
    expect(ours).toMatchObject({ status: 200 })
    expect(theirs).toEqual(ours)
    bytes += ours!.text.length
  }
  return bytes
}

describe('DuckDB and a HiveServer2 give the same bytes over HTTP', () => {
  test('over sample rows', async () => {
    const apps = await openApps('sample', async (directory) => void (await writeSampleRows(directory)))
    const from = testNow - 40 * day
    const sensors = "pid_13_mode_1,pid_47_mode_1,'; DROP TABLE sensor; --"
    // Levels of 1e300 add up to another last digit in another order.
    const paths = pathsOf("o'hara", { from, to: testNow, sensors }).filter((path) => !path.includes('stats?'))
    expect(await bothAnswer(apps, paths)).toBeGreaterThan(10_000)
  })

  const fleetRows = Number(process.env['ENGINES_ROWS'] ?? 300_000)
  test(`over ${fleetRows} generated rows of 150 days (ENGINES_ROWS)`, async () => {
    const [days, vehicles] = [150, Math.ceil(fleetRows / 10_000)]
    const apps = await openApps('fleet', (directory) =>
      writeFleetHistory({ directory, days, vehicles, rowsPerDay: Math.ceil(fleetRows / days) }),
    )
    const from = lastDay - 2 * day
    const paths = pathsOf(busyVehicle, { from, to: lastDay + day - 1, sensors: fleetSensors.join() })
    expect(await bothAnswer(apps, paths)).toBeGreaterThan(1_000_000)
  })

  const recordings = process.env['RECORDINGS_DIR']
  test.skipIf(!recordings)('over a real recording (RECORDINGS_DIR)', async () => {
    const rows = gunzipSync(readFileSync(join(recordings!, 'real_dev_open.csv.gz')))
      .toString('utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => /^([^,]+),(\d+),([^,]+),"?([^"]*)"?$/.exec(line)!.slice(1) as [string, string, string, string])
    const byDay = Map.groupBy(rows, ([, time]) => dayOf(Number(time)))
    const apps = await openApps('recording', async (directory) => {
      const writer = await openParquetWriter({ directory })
      for (const [at, some] of byDay)
        await writer.write(
          historyTables.sensor,
          at,
          { stream: 'raw-0', first: 0, last: some.length },
          some.map(cellsOf),
        )
      await writer.close()
    })
    const [, first] = rows[0]!
    const from = Number(first) - 3_600_000
    const sensors = 'pid_13_mode_1,pid_91_mode_1,pid_12_mode_1'
    const vehicles = [...new Set(rows.map(([vehicle]) => vehicle))].slice(0, 2)
    for (const vehicle of vehicles)
      expect(await bothAnswer(apps, pathsOf(vehicle, { from, to: from + 7 * day, sensors }))).toBeGreaterThan(10_000)
  })
})

function cellsOf([vehicle, time, sensor, value]: readonly [string, string, string, string]): ParquetRow {
  const place = /^\[(.*),(.*)\]$/.exec(value)
  return [
    vehicle,
    sensor,
    Number(time),
    place ? null : Number(value),
    value,
    place ? Number(place[1]) : null,
    place ? Number(place[2]) : null,
  ]
}
