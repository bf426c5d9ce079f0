import { operations } from '@flasktoria/contracts/rest'
import { errorSchema } from '@flasktoria/contracts/problems'
import { subprotocol } from '@flasktoria/contracts/stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { hostileFrames, hostileRequests } from './e2e/hostile.ts'
import { Observer } from './e2e/observers.ts'
import { createProducers, type Producers } from './e2e/producers.ts'
import { lastReadings, loadReadings, validReadings, type Reading } from './e2e/readings.ts'
import { stackUnderTest, type StackUnderTest } from './e2e/stack-under-test.ts'
import { isRunning } from './servers/daemon.ts'
import { withHs2 } from './servers/hs2-client.ts'
import type { StackStatus } from './stack/status.ts'

const soon = { timeout: 30_000, interval: 200 }
const eventually = { timeout: 180_000, interval: 500 }
const serials = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

let stack: StackUnderTest
let status: StackStatus
let producers: Producers
let observers: Observer[]
const readings = validReadings(loadReadings())
const last = new Map(lastReadings(readings))

const get = async (path: string) => {
  const response = await fetch(new URL(path, status.origin))
  return { status: response.status, body: await response.json() }
}
const socketUrl = (query = '') => `${status.origin.replace('http', 'ws')}/ws${query}`
const isErrorBody = (body: string) => errorSchema.safeParse(JSON.parse(body)).success
const v2 = () => observers.slice(0, 4)

const allOpen = async (who: readonly Observer[]) => {
  for (const observer of who) await vi.waitFor(() => expect(observer.isOpen).toBe(true), soon)
}

/** Produces one reading of now and waits until every observer shows it. */
async function announce(reading: Reading, who = observers) {
  last.set(`${reading.vehicle}\t${reading.sensor}`, reading)
  await producers.readings([reading])
  for (const observer of who) await expect.poll(() => observer.missing(new Map([['it', reading]])), soon).toEqual([])
}
const fresh = (vehicle: string, text: string): Reading => ({
  vehicle,
  ts: Date.now(),
  sensor: 'pid_13_mode_1',
  text,
})

/** Mutes or unmutes the readings of one vehicle for one client. */
async function control(client: string, action: 'start' | 'stop') {
  const rule = { action, update_type: 'sensordata', vehicle_id: 'muted', sensor_id: '' }
  const response = await fetch(`${status.origin}/api/wsctl?client=${client}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([rule]),
  })
  expect(await response.json()).toEqual([{ success: true }])
}

/** Anomalies and readings keep coming while something is done; afterwards every v2 client has every anomaly once. */
async function underTraffic(name: string, disturb: () => Promise<void>) {
  const gapsBefore = v2().map(({ gaps }) => gaps)
  const sent: number[] = []
  const stop = new AbortController()
  const traffic = (async () => {
    while (!stop.signal.aborted) {
      await producers.anomalies(name, [sent.length])
      sent.push(sent.length)
      await sleep(50)
    }
  })()
  await disturb()
  await sleep(2_000)
  stop.abort()
  await traffic
  for (const [index, observer] of v2().entries()) {
    const isWhole = () => new Set(observer.serials(name)).size === sent.length || observer.gaps > gapsBefore[index]!
    await expect.poll(isWhole, soon).toBe(true)
    expect(observer.serials(name)).toHaveLength(new Set(observer.serials(name)).size)
  }
  await allOpen(observers)
  await announce(fresh(name, '1'))
  return v2().map(({ gaps }, index) => gaps - gapsBefore[index]!)
}
const comesBack = async (name: string, pid: number) => {
  const isBack = async () => (await stack.pidsOf(name)).every((now) => now !== null && now !== pid)
  await expect.poll(isBack, { timeout: 20_000, interval: 200 }).toBe(true)
}
const killAndWait = (name: string) => async () => comesBack(name, await stack.kill(name))

beforeAll(async () => {
  stack = await stackUnderTest({ HISTORY_FLUSH_INTERVAL_MS: '1000', QUERY_DEADLINE_MS: '60000' })
  await stack.up()
  status = await stack.status()
  producers = await createProducers(status)
  // nginx gives each new socket to the hub with the fewest: both hubs get some of either kind.
  observers = [
    ...Array.from({ length: 4 }, () => Observer.v2(socketUrl())),
    ...Array.from({ length: 4 }, () => Observer.plain(socketUrl())),
  ]
  await allOpen(observers)
}, 900_000)

afterAll(async () => {
  for (const observer of observers ?? []) observer.close()
  await producers?.close()
  await stack?.remove()
})

describe('a stack under real traffic', () => {
  test('names every process, and each answers', async () => {
    const names = status.services.map(({ name }) => name).toSorted()
    const twice = ['kafka-ingest', 'kafka-ingest', 'stream-hub', 'stream-hub']
    expect(names).toEqual([
      'kafka',
      ...twice.slice(0, 2),
      'nginx',
      'query-api',
      'redis',
      ...twice.slice(2),
      'warehouse',
    ])
    for (const { url } of status.services.filter(({ name }) => /ingest|hub|query/.test(name)))
      expect((await fetch(`${url}/readyz`)).status).toBe(200)
  })

  test('both hubs have clients', async () => {
    await announce(fresh('warm-up', '1'))
    for (const { url } of status.services.filter(({ name }) => name === 'stream-hub')) {
      const metrics = await (await fetch(`${url}/metrics`)).text()
      const sessions = [...metrics.matchAll(/^flasktoria_stream_sessions(?:\{[^}]*\})? (\d+)/gm)]
      expect(sessions.reduce((sum, [, count]) => sum + Number(count), 0)).toBeGreaterThan(0)
    }
  })

  test('a recording by both producers, with garbage between, ends in the same picture on every client', async () => {
    await Promise.all([producers.readings(readings), producers.anomalies('recorded', serials(0, 500))])
    for (const observer of observers) await expect.poll(() => observer.missing(last), eventually).toEqual([])
    expect(observers.flatMap(({ regressions }) => regressions)).toEqual([])
  })

  test.each(['envelopeSource', 'envelopeHostIp', 'confluent', 'json'] as const)(
    'a record of the form %s arrives at every client',
    async (form) => {
      const reading = fresh(`written-as-${form}`, '42')
      last.set(`${reading.vehicle}\t${reading.sensor}`, reading)
      await producers.otherForm(form, reading)
      for (const observer of observers)
        await expect.poll(() => observer.missing(new Map([['it', reading]])), soon).toEqual([])
    },
  )

  test('each anomaly came exactly once to every client', async () => {
    for (const observer of observers)
      await expect.poll(() => observer.serials('recorded').toSorted((a, b) => a - b), soon).toEqual(serials(0, 500))
  })

  test('every old path answers as the contract says', async () => {
    await announce({ vehicle: 'on-the-map', ts: Date.now(), sensor: 'gps_coordinates', text: '[52.5,13.4]' })
    const since = Date.now() - 3_600_000
    const map = operations.getMap.ok.schema.parse((await get('/api/map')).body)
    expect(map.vehicles).toContainEqual(expect.objectContaining({ id: 'on-the-map', lat: 52.5, long: 13.4 }))
    expect(map.updateWebSocket).toMatch(socketUrl('?client='))
    operations.getVehicle.ok.schema.parse((await get('/api/vehicle/on-the-map')).body)
    operations.getCost.ok.schema.parse((await get('/api/cost/recorded')).body)
    const anomalies = operations.getAnomalies.ok.schema.parse((await get(`/api/anomalies?start_ts=${since}`)).body)
    expect(anomalies).toHaveLength(500)
    expect((await get('/api/swagger.json')).status).toBe(200)
    expect((await fetch(`${status.origin}/api/ui/`)).headers.get('content-type')).toContain('text/html')
    expect(await get('/api/nowhere')).toEqual({ status: 404, body: expect.objectContaining({ code: 404 }) })
  })

  test('history over HiveServer2 holds each record once', async () => {
    const count = () =>
      withHs2(`hive2://${status.hs2.host}:${status.hs2.port}/?auth=${status.hs2.auth}`, async (warehouse) => {
        const options = { signal: new AbortController().signal, deadlineMs: 60_000, maxRows: 1 }
        await warehouse.execute('REFRESH TABLE sensor_history', options)
        const newest = readings.reduce((most, { ts }) => Math.max(most, ts), 0)
        const sql = `SELECT count(*) FROM sensor_history WHERE ts <= ${newest}`
        for await (const { values } of warehouse.query(sql, options)) return Number(values[0]?.[0])
        return undefined
      })
    await expect.poll(count, eventually).toBe(readings.length)
  })

  test('/api/sensordata equals the recording, for any vehicle and period', async () => {
    const numeric = readings.filter(({ sensor, text }) => sensor !== 'gps_coordinates' && Number.isFinite(Number(text)))
    for (const step of serials(0, 12)) {
      const { vehicle, ts } = numeric[Math.floor((numeric.length * (step + 0.5)) / 12)]!
      const [from, to] = [ts - step * 400_000, ts + (step + 1) * 200_000]
      const inside = numeric.filter((one) => one.vehicle === vehicle && one.ts >= from && one.ts <= to)
      const sensors = [...new Set([...inside.map(({ sensor }) => sensor), 'pid_47_mode_1'])]
      const expected = sensors.map((sensor) => [
        sensor,
        inside
          .filter((one) => one.sensor === sensor)
          .map((one) => ({ timestamp: one.ts, value: Number(one.text) }))
          .toSorted((a, b) => b.timestamp - a.timestamp),
      ])
      const query = new URLSearchParams({ sensor_ids: sensors.join(','), start_ts: String(from), end_ts: String(to) })
      const answer = await get(`/api/sensordata/${vehicle}?${query.toString()}`)
      expect(answer).toEqual({ status: 200, body: Object.fromEntries(expected) })
    }
  })

  test('what one client mutes, no other client misses', async () => {
    const quiet = Observer.plain(socketUrl('?client=quiet-client-1'))
    const other = Observer.plain(socketUrl('?client=other-client-1'))
    await allOpen([quiet, other])
    let speed = 0
    /** What the quiet client sees of a reading that the other one got, once it has seen a later one of another vehicle. */
    const seenByQuiet = async () => {
      speed += 1
      await announce(fresh('muted', String(speed)), [other])
      await announce(fresh('marker', String(speed)), [quiet])
      return Number(quiet.view.readings.get('muted')?.get('pid_13_mode_1')?.value) === speed
    }
    expect(await seenByQuiet()).toBe(true)
    await control('quiet-client-1', 'stop')
    await expect.poll(seenByQuiet, soon).toBe(false)
    expect(await seenByQuiet()).toBe(false)
    await control('quiet-client-1', 'start')
    await expect.poll(seenByQuiet, soon).toBe(true)
    for (const observer of [quiet, other]) observer.close()
  })

  test('hostile input costs an error, never a 5xx, and nothing restarts', async () => {
    const before = await stack.status()
    await producers.garbage(500)
    for (const { path, ...init } of hostileRequests) {
      const response = await fetch(status.origin + path, init)
      const body = await response.text()
      const isRefused = response.status >= 400
      expect({ path, status: response.status }).toEqual({
        path,
        status: expect.toSatisfy((code: number) => code < 500),
      })
      expect({ path, isError: isRefused && isErrorBody(body) }).toEqual({ path, isError: isRefused })
    }
    for (const protocol of [undefined, subprotocol])
      for (const frame of hostileFrames) {
        const socket = new WebSocket(socketUrl(), protocol ? [protocol] : [])
        await new Promise((resolve) => socket.addEventListener('open', resolve))
        socket.send(frame)
        socket.send(frame)
        await sleep(20)
        socket.close()
      }
    await announce(fresh('after-the-storm', '1'))
    expect((await stack.status()).services).toEqual(before.services)
  })
})

describe('a stack whose processes die', () => {
  test('clients of a killed hub go on at another without a hole', async () => {
    expect(await underTraffic('hub-killed', killAndWait('stream-hub'))).toEqual([0, 0, 0, 0])
  })

  test('a killed ingest loses nothing and sends nothing twice', async () => {
    expect(await underTraffic('ingest-killed', killAndWait('kafka-ingest'))).toEqual([0, 0, 0, 0])
  })

  test('Kafka may be killed under traffic', async () => {
    expect(await underTraffic('kafka-killed', killAndWait('kafka'))).toEqual([0, 0, 0, 0])
  })

  test('Redis may be killed under traffic', async () => {
    // What Redis had not written yet is told as a gap.
    const gaps = await underTraffic('redis-killed', killAndWait('redis'))
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1)
  })

  test('nginx and query-api come back too', async () => {
    for (const name of ['nginx', 'query-api']) await killAndWait(name)()
    await expect
      .poll(async () => (await fetch(`${status.origin}/api/map`).catch(() => undefined))?.status, soon)
      .toBe(200)
    await allOpen(observers)
    await announce(fresh('origin-back', '1'))
  })

  test('down leaves nothing running, and status says so without JSON', async () => {
    const { services } = await stack.status()
    expect((await stack.command('down')).ok).toBe(true)
    for (const { pid } of services) expect(isRunning(pid!)).toBe(false)
    const outcome = await stack.command('status')
    expect(outcome).toEqual({ ok: false, stdout: '', stderr: expect.stringContaining('no stack runs') })
  })
})
