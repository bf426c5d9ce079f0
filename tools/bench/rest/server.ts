// query-api over a fleet in memory, and beside it the same answers written for each request. argv: a ServedFleet as JSON.
// Says its two URLs as JSON when it can be asked. stdin: how many positions a second come from now on.
import { readConfig } from '@flasktoria/service-kit/config'
import { createMemoryLog } from '@flasktoria/live-log/log-memory'
import type { Draft } from '@flasktoria/live-log/log'
import { configSchema, optionNames } from '@flasktoria/query-api/config'
import { fuelSensor, mapOf, socketUrl, speedSensor } from '@flasktoria/query-api/live-answers'
import { start } from '@flasktoria/query-api/main'
import { RecentWindow } from '@flasktoria/query-api/recent-window'
import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { createHttpServer } from '@flasktoria/query-api/http-server'
import { positionJson, vehicleId } from '../hub/fleet.ts'

export type ServedFleet = { vehicles: number; readings: number }

const everyMs = 50

const { vehicles, readings } = JSON.parse(process.argv[2]!) as ServedFleet
const log = createMemoryLog()
const config = readConfig(
  configSchema,
  { PORT: '0', LOG_LEVEL: 'error', HISTORY_RATE_BURST: '1000000', HISTORY_RATE_PER_SECOND: '1000000' },
  optionNames,
)
const window = new RecentWindow(
  { retentionMs: config.WINDOW_MS, maxReadings: config.WINDOW_MAX_READINGS, maxAnomalies: config.WINDOW_MAX_ANOMALIES },
  Date.now,
)
const service = await start(config, { reader: log })
await log.follow(window)

const position = (number: number): Draft => {
  const now = Date.now()
  const vehicle = number % vehicles
  return {
    kind: 'position',
    vehicle: vehicleId(vehicle),
    sensor: '',
    eventTs: now,
    json: positionJson(vehicle, Math.floor(number / vehicles), now),
  }
}
await log.append(Array.from({ length: vehicles }, (_, number) => position(number)))
/** The newest readings of a vehicle's speed, so many, one every `stepMs`. */
function speeds(vehicle: string, count: number, stepMs: number): Draft {
  const begin = Date.now() - count * stepMs
  const values = Array.from({ length: count }, (_, index) => ({
    timestamp: begin + index * stepMs,
    value: (index % 999) / 8,
  }))
  const json = JSON.stringify({ update_type: 'sensordata', vehicle_id: vehicle, sensor_id: speedSensor, values })
  return { kind: 'sensordata', vehicle, sensor: speedSensor, eventTs: begin + count * stepMs, json }
}
await log.append([speeds(vehicleId(0), 600, 1_000), speeds(vehicleId(1), readings, 1)])

const valuesOf = (vehicle: string, sensor: string, from: number) => {
  const series = window.readings(vehicle, sensor, { from, to: Infinity })
  return series.timestamps.map((timestamp, index) => ({ timestamp, value: series.values[index] }))
}

/** As it was before there was anything to reuse: without cookies, limits and metrics, so cheaper than it really was. */
function createPlainApp() {
  const app = new Hono()
  app.use(compress())
  const sensors = config.SENSORS_FILE.map(({ id, name, unit, low, high }) => ({
    sensor_id: id,
    sensor_name: name,
    unit,
    low,
    high,
  }))
  app.get('/api/map', (c) =>
    c.json({
      vehicles: mapOf(window, {}),
      updateWebSocket: socketUrl({ isSecure: false, host: 'h' }, 'a-client-of-the-bench'),
    }),
  )
  app.get('/api/vehicle/:vehicle', (c) => {
    const vehicle = c.req.param('vehicle')
    const from = Date.now() - 60_000
    const sensordata = {
      fuel: valuesOf(vehicle, fuelSensor, from),
      speed: valuesOf(vehicle, speedSensor, from),
      kpi: [],
    }
    return c.json({ name: `Vehicle ${vehicle}`, status: 'ok', sensors, sensordata })
  })
  app.get('/api/sensordata/:vehicle', (c) =>
    c.json({ [speedSensor]: valuesOf(c.req.param('vehicle'), speedSensor, 0) }),
  )
  return app
}

const { server } = createHttpServer(createPlainApp() as never)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const plainUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
console.log(JSON.stringify({ 'query-api': service.url, 'written for each request': plainUrl }))

let perSecond = 0
let moved = vehicles
setInterval(() => {
  const count = (perSecond * everyMs) / 1_000
  if (count > 0) void log.append(Array.from({ length: count }, () => position(moved++)))
}, everyMs)
for await (const line of createInterface({ input: process.stdin })) perSecond = Number(line)
process.exit()
