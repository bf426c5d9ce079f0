import { ApiError, type createRestClient } from '@flasktoria/client/rest-client'
import type { Fleet } from '@flasktoria/client/fleet'
import type { LiveSocket } from '@flasktoria/client/live-socket'
import type { MessageOf } from '@flasktoria/client/server-message'
import type { SensorDescriptor } from '@flasktoria/contracts/rest'
import { element } from './page-elements.ts'
import { SensorChart } from './sensor-chart.ts'

const chartMs = 10 * 60_000

type Deps = {
  call: ReturnType<typeof createRestClient>
  live: Pick<LiveSocket, 'subscribe' | 'unsubscribe' | 'subscriptions'>
  fleet: Fleet
}

/** Everything about one vehicle: its newest readings, and each reading of the chosen sensor as a chart. */
export class VehiclePanel {
  readonly #deps: Deps
  readonly #rows = new Map<string, HTMLButtonElement>()
  #sensors = new Map<string, SensorDescriptor>()
  #vehicle: string | undefined
  #chart: { sensor: string; line: SensorChart } | undefined

  constructor(deps: Deps) {
    this.#deps = deps
  }

  get vehicle(): string | undefined {
    return this.#vehicle
  }

  async show(vehicle: string | undefined): Promise<void> {
    if (vehicle === this.#vehicle) return
    this.#vehicle = vehicle
    this.#rows.clear()
    element('#sensors').replaceChildren()
    this.#showChart(undefined)
    this.#follow('selected', vehicle === undefined ? undefined : { vehicles: [vehicle], kinds: detailKinds })
    element('#vehicle').hidden = vehicle === undefined
    element('#name').textContent = vehicle ?? ''
    if (vehicle === undefined) return
    const details = await this.#deps.call('getVehicle', { params: { vehicle_id: vehicle } }).catch(unlessApiError)
    if (!details || this.#vehicle !== vehicle) return
    this.#sensors = new Map(details.sensors.map((sensor) => [sensor.sensor_id, sensor]))
    element('#name').textContent = details.name
    this.draw()
  }

  /** Readings of the charted sensor: each one comes, because it is subscribed to with `every`. */
  hear({ updates }: MessageOf<'updates'>): void {
    for (const update of updates) {
      const isCharted = update.update_type === 'sensordata' && update.vehicle_id === this.#vehicle
      if (isCharted && update.sensor_id === this.#chart?.sensor) this.#chart.line.add(update.values)
    }
  }

  /** Some could not be kept for us: they are read from the history. */
  async fillGap(): Promise<void> {
    const [vehicle, chart] = [this.#vehicle, this.#chart]
    if (vehicle === undefined || !chart) return
    const query = { sensor_ids: chart.sensor, start_ts: String(Date.now() - chartMs) }
    const series = await this.#deps
      .call('getSensordata', { params: { vehicle_id: vehicle }, query })
      .catch(unlessApiError)
    chart.line.add(series?.[chart.sensor] ?? [])
    if (this.#chart === chart) chart.line.draw()
  }

  draw(): void {
    if (this.#vehicle === undefined) return
    const view = this.#deps.fleet.view('selected')
    for (const [sensor, { value, values }] of view.readings.get(this.#vehicle) ?? []) {
      const row = this.#rows.get(sensor) ?? this.#addRow(sensor)
      row.lastElementChild!.textContent = this.#worded(sensor, value)
      row.dataset['status'] = view.statuses.get(this.#vehicle)?.get(sensor) ?? 'ok'
      row.disabled = values.length === 0
      row.setAttribute('aria-pressed', String(sensor === this.#chart?.sensor))
      row.firstElementChild!.textContent = this.#sensors.get(sensor)?.sensor_name ?? sensor
    }
    this.#chart?.line.draw()
  }

  #showChart(sensor: string | undefined): void {
    const vehicle = this.#vehicle
    const isShown = vehicle !== undefined && sensor !== undefined
    this.#follow(
      'chart',
      isShown ? { vehicles: [vehicle], sensors: [sensor], kinds: ['sensordata'], every: true } : undefined,
    )
    this.#chart = isShown
      ? { sensor, line: new SensorChart((value) => this.#worded(sensor, String(value))) }
      : undefined
    element('#chart').hidden = true
    void this.fillGap()
  }

  #follow(id: string, wishes: Parameters<LiveSocket['subscribe']>[1] | undefined): void {
    const { live } = this.#deps
    if (live.subscriptions.has(id)) live.unsubscribe(id)
    if (wishes) live.subscribe(id, wishes)
  }

  #worded(sensor: string, value: string): string {
    return `${value} ${this.#sensors.get(sensor)?.unit ?? ''}`.trim()
  }

  #addRow(sensor: string): HTMLButtonElement {
    const row = document.createElement('button')
    row.append(document.createElement('span'), document.createElement('output'))
    row.addEventListener('click', () => this.#showChart(sensor === this.#chart?.sensor ? undefined : sensor))
    const item = document.createElement('li')
    item.append(row)
    element('#sensors').append(item)
    this.#rows.set(sensor, row)
    return row
  }
}

const detailKinds = ['position' as const, 'sensordata' as const, 'sensorstatus' as const]

/** What the API refuses leaves the panel with what is known live. */
function unlessApiError(error: unknown): undefined {
  if (!(error instanceof ApiError)) throw error
}
