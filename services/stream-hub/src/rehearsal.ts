import type { Subscribe } from '@flasktoria/contracts/stream'
import { formatBatch, parseBatch } from '@flasktoria/live-log/batch'
import type { Entry } from '@flasktoria/live-log/log'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { setImmediate } from 'node:timers/promises'
import { createHubMetrics } from './hub-metrics.ts'
import { Hub, type HubOptions } from './hub.ts'

const epoch = 'rehearsal'
const vehicles = 400
const appends = 2_000
const appendedTogether = 8
const appendIntervalMs = 8
const appendsPerSweep = 12
const appendsPerTurn = 40
const ignore = () => {}
const kinds: Subscribe['kinds'] = ['position', 'sensordata']

/**
 * Plays a hub to nobody, so that V8 has compiled what every frame passes before there are clients. A hub that has just started
 * is when all of them come at once. Answers how many frames it sent.
 */
export async function rehearse(options: HubOptions): Promise<number> {
  let frames = 0
  let nowMs = 0
  const now = () => nowMs
  const metrics = createHubMetrics(createMetrics('stream-hub'))
  const hub = new Hub({ options, metrics, now, wallNow: now, wake: ignore, flushSoon: ignore })
  hub.onSnapshot({ epoch, head: 0, state: [], recent: [], reason: 'start' })
  for (const wish of wishes) join(hub, wish, () => frames++)
  for (let append = 0; append < appends; append++) {
    const batch = formatBatch({ epoch, first: append * appendedTogether + 1, appendedAt: nowMs, entries: news(append) })
    hub.onEntries(parseBatch(batch).entries)
    nowMs += appendIntervalMs
    while (hub.flushDue() <= 0) continue
    hub.catchUp(Infinity)
    if (append % appendsPerSweep === 0) hub.sweep(1 / appendsPerSweep)
    // What was compiled beside us takes its place between two turns.
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    if (append % appendsPerTurn === 0) await setImmediate()
  }
  return frames
}

const idsOf = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `vehicle-${(first + index) % vehicles}`)

/** Without one: a plain client, which gets everything. */
const wishes: readonly (Omit<Subscribe, 'type' | 'id'> | undefined)[] = [
  ...Array.from({ length: 4 }, () => undefined),
  ...Array.from({ length: 2 }, () => ({ kinds })),
  ...Array.from({ length: 4 }, (_, client) => ({ kinds, vehicles: idsOf(client * 50, 50) })),
  { kinds, bbox: [0, 0, 0.5, 0.5] },
]

function join(hub: Hub, wish: (typeof wishes)[number], onSend: () => void): void {
  const session = hub.open(
    {
      send() {
        onSend()
        return 'sent'
      },
      bufferedBytes: 0,
      ping: () => hub.hearPong(session),
      close: ignore,
    },
    wish ? 'v2' : 'plain',
    false,
  )
  if (wish) hub.subscribe(session, { type: 'subscribe', id: 'all', ...wish })
}

function news(append: number): Entry[] {
  return Array.from({ length: appendedTogether }, (_, index) => {
    const number = append * appendedTogether + index
    const vehicle = `vehicle-${number % vehicles}`
    const fields = { vehicle, seq: number + 1, eventTs: number, appendedAt: 0, isLate: false }
    const place = `"lat":${(number % 1_000) / 1_000},"long":${(number % 777) / 777},"timestamp":${number}`
    return index % 2 === 0
      ? {
          ...fields,
          kind: 'position',
          sensor: '',
          json: `{"update_type":"position","vehicle_id":"${vehicle}",${place}}`,
        }
      : {
          ...fields,
          kind: 'sensordata',
          sensor: 'speed',
          json: `{"update_type":"sensordata","vehicle_id":"${vehicle}","sensor_id":"speed","values":[],"value":"${number}"}`,
        }
  })
}
