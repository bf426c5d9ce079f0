import type { Bbox } from '@flasktoria/contracts/stream'
import type { Entry } from '@flasktoria/live-log/log'
import { createRedisLog } from '@flasktoria/live-log/log-redis'
import { WebSocketServer, type WebSocket } from 'ws'

/** An update, and where its vehicle is. */
export type Seen = { vehicle: string; json: string; lat: number; long: number }
type Wish = (update: Seen) => boolean
type Message = { vehicles?: string[]; bbox?: Bbox }

function wishOf({ vehicles, bbox }: Message): Wish | undefined {
  if (vehicles) {
    const own = new Set(vehicles)
    return ({ vehicle }) => own.has(vehicle)
  }
  if (!bbox) return undefined
  const [west, south, east, north] = bbox
  return ({ lat, long }) => lat >= south && lat <= north && long >= west && long <= east
}

/**
 * What both peers with npm ws have in common: they follow the live log, remember the last word of each vehicle, and give a
 * client the picture of what it asks for. `send` gives the clients what came; one without a wish gets everything.
 */
export function serveWithWs(port: number, redisUrl: string, send: (updates: Seen[]) => void) {
  const server = new WebSocketServer({ port, host: '127.0.0.1' })
  const wishes = new Map<WebSocket, Wish | undefined>()
  const latest = new Map<string, Seen>()
  const welcome = (client: WebSocket, wish?: Wish) => {
    wishes.set(client, wish)
    const picture = [...latest.values()].filter((update) => wish?.(update) ?? true).map(({ json }) => json)
    client.send(`{"type":"snapshot","updates":[${picture.join()}]}`)
  }
  server.on('connection', (client) => {
    // Sub-protocols come with a first message.
    if (client.protocol === '') welcome(client)
    client.on('message', (data: Buffer) => welcome(client, wishOf(JSON.parse(data.toString()) as Message)))
    client.on('error', () => client.terminate())
    client.on('close', () => wishes.delete(client))
  })
  const see = (entries: readonly Entry[]) =>
    entries.map(({ vehicle, json }) => {
      const seen = { vehicle, json, ...(JSON.parse(json) as { lat: number; long: number }) }
      latest.set(vehicle, seen)
      return seen
    })
  void createRedisLog({ url: redisUrl }).follow({
    onSnapshot: ({ state }) => void see(state),
    onEntries: (entries) => send(see(entries)),
  })
  server.on('listening', () => console.log('listening'))
  return wishes
}
