import type { ServerMessage } from '@flasktoria/contracts/stream'
import type {
  AnomalyUpdate,
  PositionUpdate,
  SensordataUpdate,
  Update,
  VehicleStatus,
} from '@flasktoria/contracts/updates'
import { letThrough, type Wishes } from './wishes.ts'

/** What one subscription shows: the newest of everything. */
export class View {
  readonly positions = new Map<string, PositionUpdate>()
  /** By vehicle, then sensor: the newest reading. */
  readonly readings = new Map<string, Map<string, SensordataUpdate>>()
  /** By vehicle, then sensor: low, ok or high. */
  readonly statuses = new Map<string, Map<string, string>>()
  /** Whether a vehicle reports; absent: nothing else was said. */
  readonly health = new Map<string, VehicleStatus>()
  readonly vehicles = new Set<string>()

  show(update: Exclude<Update, AnomalyUpdate>): void {
    const { vehicle_id: vehicle } = update
    this.vehicles.add(vehicle)
    switch (update.update_type) {
      case 'position':
        this.positions.set(vehicle, update)
        break
      case 'sensordata': {
        const readings = below(this.readings, vehicle)
        // An older one comes where another subscription wants each.
        if ((readings.get(update.sensor_id)?.timestamp ?? -Infinity) <= update.timestamp)
          readings.set(update.sensor_id, update)
        break
      }
      case 'sensorstatus':
        below(this.statuses, vehicle).set(update.sensor_id, update.value)
        break
      case 'vehiclestatus':
        this.health.set(vehicle, update.value)
        break
    }
  }

  forget(vehicles: Iterable<string>): void {
    for (const vehicle of vehicles)
      for (const map of [this.positions, this.readings, this.statuses, this.health, this.vehicles]) map.delete(vehicle)
  }
}

/** The picture that the messages of a live socket add up to: a view for each subscription, and the anomalies. */
export class Fleet {
  /** Newest last. They are history: what forgets the present state leaves them alone. */
  readonly anomalies: AnomalyUpdate[] = []
  readonly #views = new Map<string, View>()
  readonly #maxAnomalies: number

  constructor(maxAnomalies = 1_000) {
    this.#maxAnomalies = maxAnomalies
  }

  /** Of a subscription by its id; empty until something came. */
  view(id: string): View {
    const view = this.#views.get(id) ?? new View()
    this.#views.set(id, view)
    return view
  }

  /** @param subscriptions those of the socket, as they are now */
  receive(message: ServerMessage, subscriptions: ReadonlyMap<string, { readonly wishes: Wishes }>): void {
    if (message.type === 'snapshot') {
      const view = this.view(message.id)
      if (message.part === 0 && message.reason !== 'entered') view.forget([...view.vehicles])
      for (const update of message.updates) this.#show(update, [view])
    } else if (message.type === 'updates')
      for (const update of message.updates) this.#show(update, this.#showing(update, subscriptions))
    else if (message.type === 'leave') this.view(message.id).forget(message.vehicles)
    // The answer to `unsubscribe`.
    else if (message.type === 'ack' && !subscriptions.has(message.id)) this.#views.delete(message.id)
  }

  #show(update: Update, views: readonly View[]): void {
    if (update.update_type !== 'anomaly') {
      for (const view of views) view.show(update)
      return
    }
    this.anomalies.push(update)
    if (this.anomalies.length > this.#maxAnomalies) this.anomalies.shift()
  }

  /**
   * Updates come once, whichever subscriptions they are for. A vehicle comes into a box by a snapshot, so what a box does not
   * show yet is meant for another subscription, if there is one that wants it.
   */
  #showing(update: Update, subscriptions: ReadonlyMap<string, { readonly wishes: Wishes }>): View[] {
    const wanting = [...subscriptions].filter(([, { wishes }]) => letThrough(wishes, update))
    const sure = wanting.filter(([id, { wishes }]) => !wishes.bbox || this.view(id).vehicles.has(update.vehicle_id))
    return (sure.length > 0 ? sure : wanting).map(([id]) => this.view(id))
  }
}

const below = <V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> => {
  let inner = map.get(key)
  if (!inner) map.set(key, (inner = new Map()))
  return inner
}
