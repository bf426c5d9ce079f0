import type { AnomalyUpdate, PositionUpdate, SensordataUpdate, Update } from '@flasktoria/contracts/updates'

/** The picture that the updates of a live socket add up to. */
export class Fleet {
  readonly positions = new Map<string, PositionUpdate>()
  /** By vehicle, then sensor: the newest reading. */
  readonly readings = new Map<string, Map<string, SensordataUpdate>>()
  /** By vehicle, then sensor: low, ok or high. */
  readonly statuses = new Map<string, Map<string, string>>()
  /** Newest last. */
  readonly anomalies: AnomalyUpdate[] = []
  readonly #maxAnomalies: number

  constructor(maxAnomalies = 1_000) {
    this.#maxAnomalies = maxAnomalies
  }

  /** Forgets the present state; anomalies are history and stay. */
  clear(): void {
    this.positions.clear()
    this.readings.clear()
    this.statuses.clear()
  }

  apply(updates: readonly Update[]): void {
    for (const update of updates)
      switch (update.update_type) {
        case 'position':
          this.positions.set(update.vehicle_id, update)
          break
        case 'sensordata':
          below(this.readings, update.vehicle_id).set(update.sensor_id, update)
          break
        case 'sensorstatus':
          below(this.statuses, update.vehicle_id).set(update.sensor_id, update.value)
          break
        case 'anomaly':
          this.anomalies.push(update)
          if (this.anomalies.length > this.#maxAnomalies) this.anomalies.shift()
          break
      }
  }
}

const below = <V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> => {
  let inner = map.get(key)
  if (!inner) map.set(key, (inner = new Map()))
  return inner
}
