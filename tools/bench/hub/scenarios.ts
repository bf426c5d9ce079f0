import { boxesOf, ownPerClient, ownVehicles, shareInBoxes, vehicleId, vehicles } from './fleet.ts'

export type Scenario = {
  clients: number
  updatesPerSecond: number
  /** What a client sees: every vehicle, some of its own, or those in a box of its own that moves once a second. */
  sees: 'all' | 'own' | 'box'
  maxRateHz?: number
  /** What happens after the measurement: a tenth of the clients does not read for ten seconds; all come anew at once. */
  event?: 'stall' | 'storm'
}

export const scenarios: Record<string, Scenario> = {
  'all-1000': { clients: 1_000, updatesPerSecond: 1_000, sees: 'all' },
  'all-5000': { clients: 5_000, updatesPerSecond: 200, sees: 'all' },
  'all-10000': { clients: 10_000, updatesPerSecond: 1_000, sees: 'all', maxRateHz: 10 },
  'own-50': { clients: 1_000, updatesPerSecond: 1_000, sees: 'own' },
  viewports: { clients: 1_000, updatesPerSecond: 1_000, sees: 'box' },
  stalled: { clients: 1_000, updatesPerSecond: 1_000, sees: 'all', event: 'stall' },
  storm: { clients: 1_000, updatesPerSecond: 1_000, sees: 'all', event: 'storm' },
  'few-10': { clients: 10, updatesPerSecond: 1_000, sees: 'all' },
  'few-100': { clients: 100, updatesPerSecond: 5_000, sees: 'all' },
}

/** The part of all updates that one client sees. */
export const shareOf = ({ sees, clients }: Scenario): number =>
  sees === 'own' ? ownPerClient / vehicles : sees === 'box' ? shareInBoxes(clients) : 1

/** How many vehicles a client sees when it sees all it wants; undefined where that changes. */
export const pictureOf = ({ sees }: Scenario): number | undefined =>
  sees === 'own' ? ownPerClient : sees === 'box' ? undefined : vehicles

/** What a client says: at once, and then each second in turn. Nothing: it gets everything, as plain frames. */
export type Words = { first: string[]; later: string[] }

const say = (type: 'subscribe' | 'update', wish: object) => JSON.stringify({ type, id: 'all', ...wish })

export function wordsOf({ sees, maxRateHz, event }: Scenario, client: number): Words {
  if (sees === 'own') return { first: [say('subscribe', { vehicles: ownVehicles(client).map(vehicleId) })], later: [] }
  // A snapshot comes with a subscription only.
  const isPlain = maxRateHz === undefined && event !== 'storm'
  if (sees === 'all') return { first: isPlain ? [] : [say('subscribe', { maxRateHz })], later: [] }
  const [box, ...moved] = boxesOf(client)
  return { first: [say('subscribe', { bbox: box })], later: [...moved, box].map((bbox) => say('update', { bbox })) }
}
