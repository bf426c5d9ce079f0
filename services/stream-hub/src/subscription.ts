import type { Bbox } from '@flasktoria/contracts/stream'
import { updateKinds, type UpdateKind } from '@flasktoria/contracts/updates'
import { boxHolds, createBox, type Box, type Place } from './box.ts'

/** What a subscription lets through. What is absent lets everything through. */
export type Filter = {
  readonly kinds?: ReadonlySet<UpdateKind>
  readonly vehicles?: ReadonlySet<string>
  /** Narrows sensordata and sensorstatus; the other kinds have no sensor. */
  readonly sensors?: ReadonlySet<string>
  readonly view?: Viewport
  /** Readings come each, not only the newest. */
  readonly every?: true
}

/** A box, and the subscription whose it is: comings and goings are told by its id. */
export type Viewport = { readonly id: string; readonly box: Box }

/** What a filter looks at. */
export type Seen = { readonly kind: UpdateKind; readonly vehicle: string; readonly sensor: string }

/** What a client may wish; `undefined` is no wish. */
export type Wishes = {
  kinds?: readonly UpdateKind[] | undefined
  vehicles?: readonly string[] | undefined
  sensors?: readonly string[] | undefined
  bbox?: Bbox | undefined
  positionsOnly?: boolean | undefined
  maxRateHz?: number | undefined
  every?: boolean | undefined
}

const hasSensor = (kind: UpdateKind) => kind === 'sensordata' || kind === 'sensorstatus'

/** The filter of a subscription. Wishes that mean the same give equal filters. */
export function createFilter(id: string, { kinds, vehicles, sensors, bbox, positionsOnly, every }: Wishes): Filter {
  const wished: readonly UpdateKind[] | undefined = positionsOnly ? ['position'] : kinds
  const wanted = updateKinds.filter((kind) => wished?.includes(kind) ?? true)
  return {
    ...(wanted.length < updateKinds.length && { kinds: new Set(wanted) }),
    ...(vehicles && { vehicles: new Set(vehicles.toSorted()) }),
    ...(sensors && wanted.some(hasSensor) && { sensors: new Set(sensors.toSorted()) }),
    ...(bbox && { view: { id, box: createBox(bbox) } }),
    ...(every && wanted.includes('sensordata') && { every }),
  }
}

/** `place`: where the vehicle is, or was when an anomaly was found. */
export const sees = (filter: Filter, { kind, vehicle, sensor }: Seen, place: Place | undefined): boolean =>
  (filter.kinds?.has(kind) ?? true) &&
  (filter.vehicles?.has(vehicle) ?? true) &&
  (!filter.sensors || !hasSensor(kind) || filter.sensors.has(sensor)) &&
  (!filter.view || (place !== undefined && boxHolds(filter.view.box, place)))

/** Equal exactly for equal filters. */
export const canonicalText = ({ kinds, vehicles, sensors, view, every }: Filter): string =>
  JSON.stringify([...[kinds, vehicles, sensors].map((set) => (set ? [...set] : null)), view ?? null, every ?? null])
