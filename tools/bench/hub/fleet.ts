import type { Bbox } from '@flasktoria/contracts/stream'

/** Vehicles of the hub benchmark: where they are, and what each client wants of them. All of it follows from numbers. */
export const vehicles = 1_000
export const ownPerClient = 50

const south = 30
const west = -100
const height = 10
const width = 20

/** Points that fill the unit square evenly, however many there are (Roberts' R2 sequence). */
const evenly = (index: number) =>
  [(index * 0.754_877_666_246_692_7) % 1, (index * 0.569_840_290_998_053_2) % 1] as const

export const vehicleId = (vehicle: number) => `veh-${String(vehicle).padStart(4, '0')}`

function homeOf(vehicle: number) {
  const [x, y] = evenly(vehicle + 1)
  return { lat: south + y * height, long: west + x * width }
}

/** The update exactly as a browser gets it; a vehicle circles around its home. */
export function positionJson(vehicle: number, turn: number, timestamp: number): string {
  const { lat, long } = homeOf(vehicle)
  const place = `"lat":${(lat + Math.sin(turn) / 500).toFixed(6)},"long":${(long + Math.cos(turn) / 500).toFixed(6)}`
  return `{"update_type":"position","vehicle_id":"${vehicleId(vehicle)}",${place},"timestamp":${timestamp}}`
}

/** A choice of its own for each client, each vehicle in as many of them as any other. */
export const ownVehicles = (client: number): number[] =>
  Array.from({ length: ownPerClient }, (_, index) => (client * 37 + index * (1 + (client % 19))) % vehicles)

/** A twentieth of the country, at a place of its own for each client, moved a tenth of its width at a time: there and back. */
export function boxesOf(client: number): Bbox[] {
  const [x, y] = evenly(client + 1)
  const [wide, high] = [width * Math.sqrt(1 / 20), height * Math.sqrt(1 / 20)]
  const left = west + x * (width - 2 * wide)
  const bottom = south + y * (height - high)
  return Array.from({ length: 20 }, (_, move) => {
    const moved = left + (wide / 10) * (move <= 10 ? move : 20 - move)
    return [moved, bottom, moved + wide, bottom + high].map((degrees) => Number(degrees.toFixed(4))) as Bbox
  })
}

/** The part of all updates that clients see in their boxes. */
export function shareInBoxes(clients: number): number {
  const homes = Array.from({ length: vehicles }, (_, vehicle) => homeOf(vehicle))
  const seen = Array.from({ length: clients }, (_, client) => boxesOf(client))
    .flat()
    .map(
      ([w, s, e, n]) =>
        homes.filter(({ lat, long }) => lat >= s && lat <= n && long >= w && long <= e).length / vehicles,
    )
  return seen.reduce((sum, share) => sum + share, 0) / seen.length
}
