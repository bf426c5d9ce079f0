// The minimal page: where the fleet is, and what was found wrong, live.
import { Fleet } from '@flasktoria/client/fleet'
import { LiveSocket } from '@flasktoria/client/live-socket'
import { createRestClient } from '@flasktoria/client/rest-client'
import { drawFleet } from './map-view.ts'

const element = (id: string) => document.querySelector<HTMLElement>(`#${id}`)!
const map = document.querySelector('canvas')!
const shownAnomalies = 50
const dayMs = 86_400_000

const fleet = new Fleet(shownAnomalies)
let drawn = 0

function draw(): void {
  if (drawn !== 0) return
  drawn = requestAnimationFrame(() => {
    drawn = 0
    element('vehicles').textContent = String(fleet.positions.size)
    drawFleet(map, fleet.positions.values())
    element('anomalies').replaceChildren(
      ...fleet.anomalies.toReversed().map(({ desc, vehicle_id, detection_timestamp }) => {
        const item = document.createElement('li')
        const detail = document.createElement('small')
        detail.textContent = `${vehicle_id} · ${detection_timestamp}`
        item.append(desc, detail)
        return item
      }),
    )
  })
}

const call = createRestClient('')
const { updateWebSocket } = await call('getMap', {})
const anomalies = await call('getAnomalies', { query: { start_ts: String(Date.now() - dayMs) } }).catch(() => [])
fleet.apply(anomalies.map((anomaly) => ({ ...anomaly, update_type: 'anomaly' as const })).toReversed())
const live = new LiveSocket({
  url: updateWebSocket,
  subscription: { kinds: ['position', 'anomaly'] },
  onSnapshot: ({ part, updates }) => {
    if (part === 0) fleet.clear()
    fleet.apply(updates)
    draw()
  },
  onUpdates: ({ updates }) => {
    fleet.apply(updates)
    draw()
  },
  onState: (state) => {
    element('state').textContent = state
    element('state').dataset['state'] = state
  },
})
addEventListener('resize', draw)
addEventListener('pagehide', () => live.close())
