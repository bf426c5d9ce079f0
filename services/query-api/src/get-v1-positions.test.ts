import { lineSchema, rowsEndSchema } from '@flasktoria/contracts/rest-v1'
import { positionOperations, vehicleUseSchema } from '@flasktoria/contracts/rest-v1-positions'
import { dayOf, historyTables } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter, type ParquetRow } from '@flasktoria/warehouse/parquet-writer'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createScriptedWarehouse } from './scripted-warehouse.ts'
import { ask, createTestApp, position, problemOfV1, testNow } from './test-app.ts'

// A day of three vehicles in real Parquet files, read by DuckDB, and the last minutes in the window.
const minute = 60_000
const hour = 60 * minute
const start = testNow - 10 * hour
const speed = 'pid_13_mode_1'
const fuel = 'pid_47_mode_1'

const rows: [ts: number, row: ParquetRow][] = []
const store = (vehicle: string, sensor: string, ts: number, value: number | null, place?: readonly [number, number]) =>
  rows.push([ts, [vehicle, sensor, ts, value, '', place?.[0] ?? null, place?.[1] ?? null]])
const storeFix = (vehicle: string, ts: number, lat: number, long: number) =>
  store(vehicle, 'gps_coordinates', ts, null, [lat, long])

// `v` drives an hour eastward across the antimeridian, stands one, is silent for one and drives back.
const eastOf = (metres: number) => 179.9 + metres / 111_195
const wrapped = (long: number) => (long > 180 ? long - 360 : long)
for (let second = 0; second <= 4 * 3_600; second += 30) {
  const driven = Math.min(second, 3_600) - Math.max(0, second - 3 * 3_600)
  const isSilent = second > 2 * 3_600 && second < 3 * 3_600
  const ts = start + second * 1_000
  if (isSilent) continue
  storeFix('v', ts, 0.5, wrapped(eastOf(driven * 10)))
  store('v', speed, ts, second <= 3_600 || second > 3 * 3_600 ? 36 : 0)
  store('v', fuel, ts, second < 3 * 3_600 ? 50 - second / 3_600 : 80)
}
storeFix('v', start + 10_500, 47, 9)
storeFix('w', start, 0.5, 179.95)
storeFix('w', testNow - 20 * minute, 1, 2)
for (let at = 0; at <= 10; at++) store('w', speed, start + at * minute, at < 5 ? 130 : 20)
storeFix("o'hara", start + 1, 0.6, -179.99)

let directory: string
let warehouse: Warehouse
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flasktoria-positions-'))
  const writer = await openParquetWriter({ directory })
  for (const [day, group] of Map.groupBy(rows, ([ts]) => dayOf(ts))) {
    const file = { stream: 'topic-0', first: day, last: day }
    await writer.write(
      historyTables.sensor,
      day,
      file,
      group.map(([, row]) => row),
    )
  }
  await writer.close()
  warehouse = await createDuckdbWarehouse({ directory })
})
afterAll(async () => {
  await warehouse.close()
  await rm(directory, { recursive: true })
})

const limits = { sensorIds: 5, rows: 100_000, historyRequests: 4, fleetPeriodMs: 24 * hour }
const watermark = { completeTo: () => testNow - 15 * minute }
const createApp = () => createTestApp({ warehouse, limits, watermark })
const textOf = async (path: string, init?: RequestInit) => {
  const response = await createApp().app.request(path, init)
  return { status: response.status, type: response.headers.get('Content-Type'), text: await response.text() }
}
const day = `from=${start}&to=${testNow}`

describe('the track of a vehicle', () => {
  const track = `/api/v1/vehicles/v/track?${day}`

  test('200: a straight way is its ends, a gap parts it, and a place on another continent is none of it', async () => {
    const { status, body } = await ask(createApp().app, 'getVehicleTrack', track)
    expect(status).toBe(200)
    expect(body).toMatchObject({ vehicle: 'v', from: start, toleranceMetres: 10, implausible: 1, truncated: false })
    expect(body.rows.map(({ segment, timestamp }) => [segment, (timestamp - start) / 1_000])).toEqual([
      [0, 0],
      [0, 7_200],
      [1, 10_800],
      [1, 14_400],
    ])
    expect(body.rows[1]!.long).toBeCloseTo(-179.776, 3)
  })

  test('200: what the window knows beyond the history is its end, each position once', async () => {
    const { app, hear } = createApp()
    hear(position('w', testNow - 1_000, 1.002, 2), position('w', testNow - 20 * minute, 9, 9))
    const { body } = await ask(app, 'getVehicleTrack', `/api/v1/vehicles/w/track?from=${testNow - hour}`)
    expect(body.rows.map(({ timestamp, lat }) => [testNow - timestamp, lat])).toEqual([
      [20 * minute, 1],
      [1_000, 1.002],
    ])
    expect(body.coverage).toMatchObject({ history: { to: testNow - 15 * minute }, cursor: 'test.2' })
  })

  test('200: as GeoJSON with times, as NDJSON and as CSV', async () => {
    const geo = await textOf(`${track}&format=geojson`)
    expect(geo).toMatchObject({ status: 200, type: 'application/geo+json' })
    const feature = positionOperations.getVehicleTrack.ok.otherForms.geojson.parse(JSON.parse(geo.text))
    expect(feature.geometry.coordinates.map(({ length }) => length)).toEqual([2, 2])
    expect(feature.properties.times[1]).toEqual([start + 3 * hour, start + 4 * hour])
    const lone = await textOf(`/api/v1/vehicles/w/track?${day}`, { headers: { Accept: 'application/geo+json' } })
    expect(JSON.parse(lone.text).geometry.coordinates[0]).toEqual([
      [179.95, 0.5],
      [179.95, 0.5],
    ])
    const lines = (await textOf(`${track}&format=ndjson`)).text.trimEnd().split('\n')
    const line = lineSchema(positionOperations.getVehicleTrack.ok.schema.shape.rows.element)
    for (const text of lines) line.parse(JSON.parse(text))
    expect(JSON.parse(lines.at(-1)!).end).toMatchObject({ rows: 4, truncated: false })
    const csv = (await textOf(`${track}&format=csv`)).text.split('\r\n')
    expect(csv.slice(0, 2)).toEqual(['segment,timestamp,lat,long', `0,${start},0.5,179.9`])
  })

  test('200: a track with more gaps than points goes on with its cursor', async () => {
    const { app } = createApp()
    const first = await ask(app, 'getVehicleTrack', `${track}&maxPoints=2&gap=20`)
    expect(first.body).toMatchObject({ truncated: true, next: expect.any(String) })
    expect(first.body.rows.map(({ timestamp }) => timestamp - start)).toEqual([0, 30_000])
    const second = await ask(app, 'getVehicleTrack', `${track}&maxPoints=2&gap=20&cursor=${first.body.next}`)
    expect(second.body.rows.map(({ timestamp }) => timestamp - start)).toEqual([60_000, 90_000])
  })

  test('200: an unknown vehicle, and a service without a warehouse, have an empty track', async () => {
    const nobody = await ask(createApp().app, 'getVehicleTrack', `/api/v1/vehicles/nobody/track?${day}`)
    expect(nobody.body.rows).toEqual([])
    const { body } = await ask(createTestApp().app, 'getVehicleTrack', track)
    expect(body).toMatchObject({ rows: [], coverage: { history: null } })
  })

  test.for([
    ['', 'from'],
    [`from=${testNow + 1}`, 'from'],
    [`${day}&tolerance=-1`, 'tolerance'],
    [`${day}&tolerance=1e3`, 'tolerance'],
    [`${day}&maxPoints=1`, 'maxPoints'],
    [`${day}&gap=0`, 'gap'],
    [`${day}&cursor=zzz`, 'cursor'],
    [`${day}&cursor=${Buffer.from('[1]').toString('base64url')}`, 'cursor'],
    [`${day}&format=xml`, 'format'],
    [`${day}&x=1`, 'x'],
  ] as const)('400: %s names %s', async ([query, field]) => {
    const answer = await ask(createApp().app, 'getVehicleTrack', `/api/v1/vehicles/v/track?${query}`)
    expect(answer).toMatchObject(problemOfV1(400, field))
  })

  test('406: a form that a track has not', async () => {
    const { status } = await ask(createApp().app, 'getVehicleTrack', track, { headers: { Accept: 'image/png' } })
    expect(status).toBe(406)
  })
})

describe('the trips of a vehicle', () => {
  test('200: there and back, with their ways', async () => {
    const { body } = await ask(createApp().app, 'getVehicleTrips', `/api/v1/vehicles/v/trips?${day}`)
    expect(body).toMatchObject({ vehicle: 'v', implausible: 1, truncated: false, next: null })
    const [there, back, ...more] = body.rows
    expect(more).toEqual([])
    expect(Math.abs(there!.distanceMetres - 36_000)).toBeLessThan(100)
    expect(Math.abs(there!.durationSeconds - 3_600)).toBeLessThan(60)
    expect(there).toMatchObject({ hasEnded: true, stops: [], start: { timestamp: start, long: 179.9 } })
    expect(back!.start.timestamp).toBe(start + 3 * hour)
    expect(Math.abs(back!.distanceMetres - 36_000)).toBeLessThan(100)
  })

  test('200: by page, as if they had been asked for at once', async () => {
    const { app } = createApp()
    const path = `/api/v1/vehicles/v/trips?${day}`
    const all = await ask(app, 'getVehicleTrips', path)
    const first = await ask(app, 'getVehicleTrips', `${path}&limit=1`)
    expect(first.body).toMatchObject({ rows: all.body.rows.slice(0, 1), truncated: true })
    const second = await ask(app, 'getVehicleTrips', `${path}&limit=1&cursor=${first.body.next}`)
    expect(second.body).toMatchObject({ rows: all.body.rows.slice(1), truncated: false })
  })

  test('400: a limit of none', async () => {
    const answer = await ask(createApp().app, 'getVehicleTrips', `/api/v1/vehicles/v/trips?${day}&limit=0&stop=5`)
    expect(answer).toMatchObject(problemOfV1(400, 'stop', 'limit'))
  })
})

describe('the fleet at a time', () => {
  test('200: the last position of each vehicle until then', async () => {
    const { body } = await ask(createApp().app, 'getFleet', `/api/v1/fleet?at=${start + 2 * hour}&maxAge=14400`)
    expect(body.rows.map(({ vehicle, timestamp }) => [vehicle, timestamp - start])).toEqual([
      ["o'hara", 1],
      ['v', 2 * hour],
      ['w', 0],
    ])
    expect(body).toMatchObject({
      at: start + 2 * hour,
      truncated: false,
      coverage: { history: { to: start + 2 * hour } },
    })
  })

  test('200: the newer one of history and window, which never tells what came after', async () => {
    const { app, hear } = createApp()
    hear(position('w', testNow - 2 * minute, 3, 3), position('x', testNow - 4 * minute, 4, 4))
    hear(position('w', testNow - minute, 5, 5))
    const fleetAt = async (at: number) => {
      const { body } = await ask(app, 'getFleet', `/api/v1/fleet?at=${at}`)
      return body.rows.map(({ vehicle, lat }) => [vehicle, lat])
    }
    expect(await fleetAt(testNow)).toEqual([
      ['w', 5],
      ['x', 4],
    ])
    expect(await fleetAt(testNow - 2 * minute)).toEqual([
      ['w', 3],
      ['x', 4],
    ])
    expect(await fleetAt(testNow - 5 * minute)).toEqual([['w', 1]])
  })

  test('200: by page, and as points', async () => {
    const { app } = createApp()
    const path = `/api/v1/fleet?at=${start + hour}&maxAge=7200&limit=2`
    const first = await ask(app, 'getFleet', path)
    expect(first.body.rows.map(({ vehicle }) => vehicle)).toEqual(["o'hara", 'v'])
    const second = await ask(app, 'getFleet', `${path}&cursor=${first.body.next}`)
    expect(second.body).toMatchObject({ rows: [{ vehicle: 'w' }], truncated: false, next: null })
    const { text } = await textOf(`${path}&format=geojson`)
    const points = positionOperations.getFleet.ok.otherForms.geojson.parse(JSON.parse(text))
    expect(points.features[0]).toEqual({
      type: 'Feature',
      geometry: { type: 'Point', coordinates: [-179.99, 0.6] },
      properties: { vehicle: "o'hara", timestamp: start + 1 },
    })
  })

  test('400: an age beyond what may be asked of the fleet, and a cursor that is none', async () => {
    const { app } = createApp()
    expect(await ask(app, 'getFleet', '/api/v1/fleet?maxAge=90000')).toMatchObject(problemOfV1(400, 'maxAge'))
    expect(await ask(app, 'getFleet', '/api/v1/fleet?cursor=AAAA')).toMatchObject(problemOfV1(400, 'cursor'))
  })
})

describe('who was in a box', () => {
  const box = 'west=179.94&south=0&east=-179.98&north=0.7'

  test('200: across the antimeridian, with when and how often', async () => {
    const { body } = await ask(createApp().app, 'getHistoryBbox', `/api/v1/history/bbox?${box}&${day}`)
    expect(body.rows.map(({ vehicle, visits }) => [vehicle, visits])).toEqual([
      ["o'hara", 1],
      ['v', 2],
      ['w', 1],
    ])
    const [, v] = body.rows
    expect(v!.first - start).toBe(450_000)
    expect(v!.last).toBeGreaterThan(start + 3 * hour)
    expect(body.coverage).toMatchObject({ history: { from: start, to: testNow - 15 * minute }, recent: null })
  })

  test('200: by page, as NDJSON, CSV and points', async () => {
    const path = `/api/v1/history/bbox?${box}&${day}&limit=1`
    const { app } = createApp()
    const { body } = await ask(app, 'getHistoryBbox', path)
    expect(body).toMatchObject({ rows: [{ vehicle: "o'hara" }], truncated: true })
    const next = await ask(app, 'getHistoryBbox', `${path}&cursor=${body.next}`)
    expect(next.body.rows.map(({ vehicle }) => vehicle)).toEqual(['v'])
    const csv = await textOf(`${path}&format=csv`)
    expect(csv.text.split('\r\n')[0]).toBe('vehicle,first,last,fixes,visits,lat,long')
    const { text } = await textOf(`${path}&format=geojson`)
    positionOperations.getHistoryBbox.ok.otherForms.geojson.parse(JSON.parse(text))
  })

  test.for([
    [`west=181&south=0&east=1&north=1&${day}`, ['west']],
    [`west=1&south=2&east=1&north=1&${day}`, ['south', 'north']],
    [`${box}&from=${testNow - 25 * hour}`, ['from', 'to']],
    [box, ['from']],
    [`south=0&east=1&north=1&${day}`, ['west']],
  ] as const)('400: %s names %s', async ([query, fields]) => {
    const answer = await ask(createApp().app, 'getHistoryBbox', `/api/v1/history/bbox?${query}`)
    expect(answer).toMatchObject(problemOfV1(400, ...fields))
  })
})

describe('how vehicles were used', () => {
  test('200: the sums of one vehicle', async () => {
    const { body } = await ask(createApp().app, 'getVehicleStats', `/api/v1/vehicles/v/stats?${day}`)
    expect(body).toMatchObject({
      vehicle: 'v',
      movingSeconds: 2 * 3_600,
      maxSpeedKmh: 36,
      overspeedCount: 0,
      fillings: 1,
      coverage: { recent: null },
    })
    expect(Math.abs(body.distanceMetres - 72_000)).toBeLessThan(700)
    expect(Math.abs(body.idleSeconds - 3_600)).toBeLessThan(60)
    expect(Math.abs(body.fuelUsed! - 2)).toBeLessThan(0.2)
    expect(Math.abs(body.fuelFilled! - 32)).toBeLessThan(0.2)
  })

  test('200: a vehicle that reported nothing has nothing', async () => {
    const { body } = await ask(createApp().app, 'getVehicleStats', `/api/v1/vehicles/nobody/stats?${day}`)
    expect(body).toMatchObject({ vehicle: 'nobody', speedReadings: 0, maxSpeedKmh: null, fuelUsed: null })
  })

  test('200: the fleet, those first that lead', async () => {
    const { app } = createApp()
    const order = async (query: string) => {
      const { body } = await ask(app, 'getStats', `/api/v1/stats?${day}&${query}`)
      return [body.rows.map(({ vehicle }) => vehicle).join(''), body.truncated]
    }
    expect(await order('')).toEqual(['vw', false])
    expect(await order('order=overspeed')).toEqual(['wv', false])
    expect(await order('order=overspeed&limit=1')).toEqual(['w', true])
    expect(await order('order=overspeed&speedLimit=20')).toEqual(['vw', false])
    expect(await order('order=distance')).toEqual(['vw', false])
    expect(await order('order=fuel')).toEqual(['vw', false])
  })

  test('200: as NDJSON and as CSV', async () => {
    const lines = (await textOf(`/api/v1/stats?${day}&format=ndjson`)).text.trimEnd().split('\n')
    for (const line of lines.slice(0, -1)) vehicleUseSchema.parse(JSON.parse(line))
    rowsEndSchema.parse(JSON.parse(lines.at(-1)!).end)
    const [header, first] = (await textOf(`/api/v1/stats?${day}&format=csv`)).text.split('\r\n')
    expect(header!.split(',')).toEqual(Object.keys(vehicleUseSchema.shape))
    expect(first!.startsWith('v,')).toBe(true)
  })

  test('400: more than may be asked of the fleet, and an order that is none', async () => {
    const { app } = createApp()
    const answer = await ask(app, 'getStats', `/api/v1/stats?from=${testNow - 25 * hour}`)
    expect(answer).toMatchObject(problemOfV1(400, 'from', 'to'))
    expect(await ask(app, 'getStats', `/api/v1/stats?${day}&order=age`)).toMatchObject(problemOfV1(400, 'order'))
  })
})

test.each([
  ['getStats', `/api/v1/stats?${day}`],
  ['getHistoryBbox', `/api/v1/history/bbox?west=-180&south=-90&east=180&north=90&${day}`],
] as const)(
  '%s is the same, whether the engine is asked at once, by vehicles or by slices of time',
  async (id, path) => {
    const query: Warehouse['query'] = (sql, options) => warehouse.query(sql, options)
    const parted = (pageRows: number): Warehouse => ({
      dialect: warehouse.dialect,
      pageRows,
      query,
      execute: () => Promise.reject(new Error('never')),
      failing: () => undefined,
      close: () => Promise.resolve(),
    })
    const [atOnce, ...others] = await Promise.all(
      [100_000, 20, 1].map(async (pageRows) => {
        const { app } = createTestApp({ warehouse: parted(pageRows), limits, watermark })
        return (await ask(app, id, path)).body
      }),
    )
    expect(atOnce!.rows.length).toBeGreaterThan(1)
    for (const other of others) expect(other).toEqual(atOnce)
  },
)

describe('a warehouse that fails', () => {
  const questions = [
    ['getVehicleTrack', `/api/v1/vehicles/v/track?${day}`],
    ['getVehicleTrips', `/api/v1/vehicles/v/trips?${day}`],
    ['getFleet', '/api/v1/fleet'],
    ['getHistoryBbox', `/api/v1/history/bbox?west=1&south=1&east=2&north=2&${day}`],
    ['getVehicleStats', `/api/v1/vehicles/v/stats?${day}`],
    ['getStats', `/api/v1/stats?${day}`],
  ] as const

  test.for(questions)('%s says so: 400, 503, 504', async ([id, path]) => {
    for (const [fail, status] of [
      ['unavailable', 503],
      ['overloaded', 503],
      ['timeout', 504],
      ['out_of_memory', 400],
    ] as const) {
      const { app } = createTestApp({ warehouse: createScriptedWarehouse({ fail }).warehouse, limits })
      expect(await ask(app, id, path)).toMatchObject(problemOfV1(status))
    }
  })

  test('a client that goes away cancels its question', async () => {
    const scripted = createScriptedWarehouse({ hangs: true })
    const { app } = createTestApp({ warehouse: scripted.warehouse, limits })
    for (const [, path] of questions) {
      const leaving = new AbortController()
      const [asked, cancelled] = [scripted.asked.length, scripted.cancelled]
      const answer = app.request(path, { signal: leaving.signal })
      await expect.poll(() => scripted.asked.length).toBeGreaterThan(asked)
      leaving.abort()
      await answer
      expect(scripted.cancelled).toBeGreaterThan(cancelled)
    }
  })
})
