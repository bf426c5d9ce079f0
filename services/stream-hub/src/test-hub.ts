import type { ServerMessage } from '@flasktoria/contracts/stream'
import type { AnomalyUpdate } from '@flasktoria/contracts/updates'
import type { Draft } from '@flasktoria/live-log/log'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { createHubMetrics } from './hub-metrics.ts'
import { Hub, type HubOptions } from './hub.ts'
import type { Connection, SendResult } from './transport.ts'

export const hubOptions: HubOptions = {
  ringLength: 1_024,
  maxEvents: 100,
  maxStateKeys: 10_000,
  stateRetentionMs: 86_400_000,
  session: { messagesPerSecond: 50, errorsBurst: 20, errorsPerMinute: 6 },
  pace: { minMs: 8, maxMs: 250 },
  feedIntervalMs: 3_600_000,
  slowAfterMs: 30_000,
  lagAfterMs: 1_000,
  pingIntervalMs: 25_000,
  idleTimeoutMs: 75_000,
  serverName: 'test',
}

/** A hub whose clock and loop are the test's. */
export function createTestHub(options: Partial<HubOptions> = {}) {
  const clock = { nowMs: 1_000 }
  const metrics = createMetrics('stream-hub')
  const hub = new Hub({
    options: { ...hubOptions, ...options },
    metrics: createHubMetrics(metrics),
    now: () => clock.nowMs,
    wallNow: () => clock.nowMs,
    wake: () => {},
    flushSoon: () => {},
  })
  const tick = { ...hubOptions, ...options }.pace.minMs
  /** Every lane without a rate is due. */
  const turn = () => {
    clock.nowMs += tick
    while (hub.flushDue() <= 0) continue
    hub.catchUp(Infinity)
  }
  return { hub, clock, metrics, turn }
}

/** The client's end of a connection, which may stop taking bytes. What is queued then arrives when it goes on. */
export class TestConnection implements Connection {
  /** What arrived. */
  readonly messages: ServerMessage[] = []
  readonly texts: string[] = []
  closedWith: number | undefined
  pings = 0
  #queue: string[] = []
  #isStalled = false
  #maxBufferedBytes: number

  constructor(maxBufferedBytes = 1 << 20) {
    this.#maxBufferedBytes = maxBufferedBytes
  }

  get bufferedBytes(): number {
    return this.#queue.reduce((sum, text) => sum + text.length, 0)
  }

  send(frame: string | Uint8Array): SendResult {
    if (this.closedWith !== undefined || this.bufferedBytes > this.#maxBufferedBytes) return 'refused'
    const text = typeof frame === 'string' ? frame : Buffer.from(frame).toString()
    this.onSend(JSON.parse(text) as ServerMessage)
    if (!this.#isStalled) {
      this.#arrive(text)
      return 'sent'
    }
    this.#queue.push(text)
    return 'queued'
  }

  ping(): void {
    this.pings++
  }

  close(code: number): void {
    this.closedWith = code
  }

  stall(): void {
    this.#isStalled = true
  }

  /** Takes what is queued; the test tells the hub that it drained. */
  resume(): void {
    this.#isStalled = false
    for (const text of this.#queue.splice(0)) this.#arrive(text)
  }

  onSend(_message: ServerMessage): void {}
  onArrival(_message: ServerMessage): void {}

  #arrive(text: string): void {
    const message = JSON.parse(text) as ServerMessage
    this.texts.push(text)
    this.messages.push(message)
    this.onArrival(message)
  }
}

let events = 0

export const position = (vehicle: string, lat: number, eventTs = Date.now()): Draft => ({
  kind: 'position',
  vehicle,
  sensor: '',
  eventTs,
  json: JSON.stringify({ update_type: 'position', vehicle_id: vehicle, lat, long: 11, timestamp: eventTs }),
})

/** A position of each of many vehicles; of 5,000 it is 600 KB of updates. */
export const fleet = (size: number, lat: number): Draft[] =>
  Array.from({ length: size }, (_, index) => position(`truck-${index}`, lat, 1_764_000_000_000))

export const sensordata = (vehicle: string, sensor: string, value: number, eventTs = Date.now()): Draft => ({
  kind: 'sensordata',
  vehicle,
  sensor,
  eventTs,
  json: JSON.stringify({
    update_type: 'sensordata',
    vehicle_id: vehicle,
    sensor_id: sensor,
    values: [{ timestamp: eventTs, value }],
    value: String(value),
    timestamp: eventTs,
  }),
})

export const anomalyUpdate = (vehicle: string, desc: string, timestamp: number): AnomalyUpdate => ({
  update_type: 'anomaly',
  desc,
  cost_impact: '100',
  vehicle_id: vehicle,
  declared_timestamp: '',
  detection_timestamp: '',
  cause: 'a stone',
  actions: 'inflate/replace',
  downtime: '30',
  timestamp,
})

export const anomaly = (vehicle: string, desc: string, eventTs = Date.now()): Draft => ({
  kind: 'anomaly',
  vehicle,
  sensor: '',
  eventTs,
  id: `anomaly-${events++}`,
  json: JSON.stringify(anomalyUpdate(vehicle, desc, eventTs)),
})
