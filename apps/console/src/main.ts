// The minimal page: where the fleet is, how one vehicle is, and what was found wrong, live.
import { Fleet } from '@flasktoria/client/fleet'
import { LiveSocket } from '@flasktoria/client/live-socket'
import { createRestClient } from '@flasktoria/client/rest-client'
import type { AnomalyUpdate } from '@flasktoria/contracts/updates'
import { FeedAge } from './feed-age.ts'
import { FleetMap } from './fleet-map.ts'
import { button, element } from './page-elements.ts'
import { VehiclePanel } from './vehicle-panel.ts'

const shownAnomalies = 50
const dayMs = 86_400_000

const fleet = new Fleet(shownAnomalies)
const call = createRestClient('')
const { updateWebSocket } = await call('getMap', {})
const past = await call('getAnomalies', { query: { start_ts: String(Date.now() - dayMs) } }).catch(() => [])
fleet.anomalies.push(
  ...past
    .slice(0, shownAnomalies)
    .toReversed()
    .map((anomaly) => ({ ...anomaly, update_type: 'anomaly' as const })),
)

const age = new FeedAge(element('#age'))
const live: LiveSocket = new LiveSocket({
  url: updateWebSocket,
  on: {
    ack: (message) => show(message),
    snapshot: (message) => show(message),
    leave: (message) => show(message),
    updates: (message) => {
      panel.hear(message)
      show(message)
    },
    gap: ({ kind }) => void (kind === 'sensordata' && panel.fillGap()),
    feed: (message) => age.hear(message),
  },
  onState: (state) => {
    element('#state').textContent = state
    element('#state').dataset['state'] = state
  },
})
const panel = new VehiclePanel({ call, live, fleet })
const map = new FleetMap({
  canvas: document.querySelector('canvas')!,
  fleet,
  live,
  onChange: draw,
  onPoint: (vehicle) => void select(vehicle),
})
// Wherever the map is: it is little, and nobody wants to miss it.
live.subscribe('fleet', { kinds: ['vehiclestatus', 'anomaly'] })

function show(message: Parameters<Fleet['receive']>[0]): void {
  fleet.receive(message, live.subscriptions)
  draw()
}

async function select(vehicle: string | undefined): Promise<void> {
  const shown = panel.show(vehicle)
  draw()
  await shown
}

let frame = 0
function draw(): void {
  if (frame !== 0) return
  frame = requestAnimationFrame(() => {
    frame = 0
    map.draw(panel.vehicle)
    panel.draw()
    drawAnomalies()
    const silent = [...fleet.view('fleet').health.values()].filter((status) => status !== 'online').length
    element('#vehicles').textContent = String(fleet.view('map').positions.size)
    element('#silent').textContent = silent > 0 ? `, ${silent} silent` : ''
    button('#fit').disabled = map.showsAll
  })
}

let listed: AnomalyUpdate | undefined
/** Only when there is a new one: whoever points at an entry shall hit it. */
function drawAnomalies(): void {
  if (fleet.anomalies.at(-1) === listed) return
  listed = fleet.anomalies.at(-1)
  element('#anomalies').replaceChildren(
    ...fleet.anomalies.toReversed().map(({ desc, vehicle_id, detection_timestamp }) => {
      const item = document.createElement('li')
      const entry = document.createElement('button')
      const detail = document.createElement('small')
      detail.textContent = `${vehicle_id} · ${detection_timestamp}`
      entry.append(desc, detail)
      entry.addEventListener('click', () => void select(vehicle_id))
      item.append(entry)
      return item
    }),
  )
}

draw()
button('#fit').addEventListener('click', () => map.showAll())
button('#deselect').addEventListener('click', () => void select(undefined))
addEventListener('resize', draw)
addEventListener('pagehide', () => live.close())
