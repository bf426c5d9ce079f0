import { updateKinds, type UpdateKind } from '@flasktoria/contracts/updates'

/** What a subscription lets through. An absent set lets everything through. */
export type Filter = {
  readonly kinds?: ReadonlySet<UpdateKind>
  readonly vehicles?: ReadonlySet<string>
  /** Narrows sensordata and sensorstatus; positions and anomalies have no sensor. */
  readonly sensors?: ReadonlySet<string>
}

export const everything: Filter = {}

/** What a filter looks at. */
export type Seen = { readonly kind: UpdateKind; readonly vehicle: string; readonly sensor: string }

type Wishes = {
  kinds?: readonly UpdateKind[] | undefined
  vehicles?: readonly string[] | undefined
  sensors?: readonly string[] | undefined
}

const hasSensor = (kind: UpdateKind) => kind === 'sensordata' || kind === 'sensorstatus'

/** The filter of a subscription. Wishes that mean the same give equal filters. */
export function createFilter({ kinds, vehicles, sensors }: Wishes): Filter {
  const wanted = updateKinds.filter((kind) => kinds?.includes(kind) ?? true)
  return {
    ...(wanted.length < updateKinds.length && { kinds: new Set(wanted) }),
    ...(vehicles && { vehicles: new Set(vehicles.toSorted()) }),
    ...(sensors && wanted.some(hasSensor) && { sensors: new Set(sensors.toSorted()) }),
  }
}

export const sees = (filter: Filter, { kind, vehicle, sensor }: Seen): boolean =>
  (filter.kinds?.has(kind) ?? true) &&
  (filter.vehicles?.has(vehicle) ?? true) &&
  (!filter.sensors || !hasSensor(kind) || filter.sensors.has(sensor))

/** Equal exactly for equal filters. */
export const canonicalText = ({ kinds, vehicles, sensors }: Filter): string =>
  JSON.stringify([kinds, vehicles, sensors].map((set) => (set ? [...set] : null)))
