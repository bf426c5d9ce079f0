// Writes updates of the fleet at a constant rate, to the live log or to Centrifugo. argv: a WriterPlan as JSON.
// Says `filled` when each vehicle has a position. stdin `start`: the rate begins; `stop`: it ends, and `stopped` is said;
// `lap`: one more update of each vehicle.
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { positionJson, vehicleId, vehicles } from './hub/fleet.ts'
import type { WriterPlan } from './hub/writer.ts'

type Position = { vehicle: number; timestamp: number; json: string }
type Send = (positions: Position[]) => Promise<unknown>

/** Updates `first` up to `end` of the fleet, vehicle by vehicle, all of now. */
function positions(first: number, end: number): Position[] {
  const timestamp = Date.now()
  return Array.from({ length: end - first }, (_, index) => {
    const vehicle = (first + index) % vehicles
    return { vehicle, timestamp, json: positionJson(vehicle, Math.floor((first + index) / vehicles), timestamp) }
  })
}

function sendToLog(url: string): Send {
  const log = createRedisLog({ url })
  return (batch) =>
    log.append(
      batch.map(({ vehicle, timestamp, json }) => ({
        kind: 'position',
        vehicle: vehicleId(vehicle),
        sensor: '',
        eventTs: timestamp,
        json,
      })),
    )
}

function sendToCentrifugo(url: string, channel: 'one' | 'per vehicle'): Send {
  const publish = ({ vehicle, json }: Position) =>
    `{"publish":{"channel":"${channel === 'one' ? 'fleet' : vehicleId(vehicle)}","data":${json}}}`
  const post = (body: string) =>
    fetch(`${url}/api/batch`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return async (batch) => {
    const body = `{"commands":[${batch.map(publish).join()}]}`
    // Under load it closes connections that it has kept, while they carry the next request.
    const response = await post(body).catch(() => post(body))
    if (!response.ok) throw new Error(`Centrifugo answered ${response.status}: ${await response.text()}`)
    await response.arrayBuffer()
  }
}

const plan = JSON.parse(process.argv[2]!) as WriterPlan
const send = plan.to === 'live log' ? sendToLog(plan.url) : sendToCentrifugo(plan.url, plan.channel)
const everyMs = 5
/** Few enough for one request, when a slow server has kept us waiting. */
const maxBatch = 200

async function keepRate(signal: AbortSignal): Promise<void> {
  const start = performance.now()
  for (let sent = 0; !signal.aborted; await sleep(everyMs)) {
    const due = Math.floor(((performance.now() - start) / 1_000) * plan.updatesPerSecond)
    const end = Math.min(due, sent + maxBatch)
    if (end > sent) await send(positions(vehicles + sent, vehicles + end))
    sent = end
  }
}

async function sendLap(): Promise<void> {
  for (let first = 0; first < vehicles; first += maxBatch) await send(positions(first, first + maxBatch))
}

await sendLap()
console.log('filled')
const stop = new AbortController()
let writing = Promise.resolve()
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'start') writing = keepRate(stop.signal)
  if (line === 'stop') {
    stop.abort()
    await writing
    console.log('stopped')
  }
  if (line === 'lap') await sendLap()
}
process.exit(0)
