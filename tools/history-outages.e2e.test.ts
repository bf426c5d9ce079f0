import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import { configSchema, optionNames } from '@flasktoria/query-api/config'
import { start, type QueryApi } from '@flasktoria/query-api/main'
import { readConfig } from '@flasktoria/service-kit/config'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort, type Server } from './servers/daemon.ts'
import { executeHs2 } from './servers/hs2-client.ts'
import { startHs2, type Hs2Place } from './servers/hs2.ts'
import { say } from './servers/run.ts'

const dir = mkdtempSync(join(tmpdir(), 'flasktoria-history-outages-'))
let place: Hs2Place & { uiPort: number }
let hs2: Server
let service: QueryApi

/** A question about it keeps both cores busy for hours. */
const endless = `CREATE OR REPLACE VIEW sensor AS SELECT cast(1490000000000 + id AS STRING) AS \`timestamp\`,
  'speed' AS sensor, 'bus' AS uuid, 'Speed: 1' AS value FROM range(0, 1000000000000, 1, 4) WHERE id % 7 = 9`
const anomalies = `CREATE TABLE IF NOT EXISTS anomaly (\`timestamp\` BIGINT, detection_time STRING, confirmation_time STRING,
  sensor STRING, uuid STRING, anomaly_id INT) USING parquet`

beforeAll(async () => {
  place = { dir: join(dir, 'hs2'), port: await freePort(), uiPort: await freePort() }
  hs2 = await startHs2(place)
  await executeHs2(hs2.url, () => [endless, anomalies])
  const environment = {
    PORT: '0',
    LOG_LEVEL: 'silent',
    WAREHOUSE: 'hs2',
    HS2_URL: hs2.url,
    TABLE_PROFILE: 'legacy',
    QUERY_DEADLINE_MS: '60000',
  }
  service = await start(readConfig(configSchema, environment, optionNames), { reader: createMemoryLog() })
})
afterAll(async () => {
  await service?.[Symbol.asyncDispose]()
  await hs2?.kill()
  rmSync(dir, { recursive: true, force: true })
})

async function json(url: string) {
  return (await fetch(url)).json() as Promise<any>
}
const warehouseSays = async () => (await json(`${service.url}/readyz`)).checks.warehouse
const ask = (signal?: AbortSignal) =>
  fetch(`${service.url}/api/sensordata/bus?sensor_ids=speed&start_ts=1490000000000`, { ...(signal && { signal }) })

/** How many jobs Spark itself says are running. */
async function runningJobs(): Promise<number> {
  const api = `http://127.0.0.1:${place.uiPort}/api/v1/applications`
  const [application] = await json(api)
  return (await json(`${api}/${application.id}/jobs?status=running`)).length
}

test('a client that goes away frees its query at once, as the list of the server shows', async () => {
  await expect.poll(warehouseSays, { timeout: 30_000 }).toBe('ok')
  const client = new AbortController()
  const asked = ask(client.signal)
  await expect.poll(runningJobs, { timeout: 20_000 }).toBe(1)
  client.abort()
  const startedAt = performance.now()
  await expect(asked).rejects.toThrow(/abort/)
  await expect.poll(runningJobs, { timeout: 10_000, interval: 5 }).toBe(0)
  const tookMs = performance.now() - startedAt
  say(`a query was free ${Math.round(tookMs)} ms after its client had gone`)
  // Spark's list is up to 100 ms old.
  expect(tookMs).toBeLessThan(1000)
})

test('a server that is killed costs each request one 503, and answers again when it is back', async () => {
  const asked = Array.from({ length: 12 }, () => ask())
  await expect.poll(runningJobs, { timeout: 20_000 }).toBeGreaterThan(0)
  await delay(500)
  await hs2.kill()
  const startedAt = performance.now()
  const answers = await Promise.all(asked)
  say(`12 requests were answered ${Math.round(performance.now() - startedAt)} ms after the server was killed`)
  expect(performance.now() - startedAt).toBeLessThan(5000)
  for (const response of answers) {
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await response.json()).toMatchObject({ code: 503 })
  }
  expect(await warehouseSays()).toContain('ECONNREFUSED')

  hs2 = await startHs2(place)
  await expect.poll(warehouseSays, { timeout: 60_000 }).toBe('ok')
  const response = await fetch(`${service.url}/api/anomalies?start_ts=1490000000000`)
  expect([response.status, await response.json()]).toEqual([200, []])
})
