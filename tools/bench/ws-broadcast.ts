// A peer of the hub benchmark: what a service with npm ws usually looks like. Each update goes to each client as it comes.
// argv: port redisUrl
import { serveWithWs } from './hub/ws-peer.ts'

const [port, redisUrl] = process.argv.slice(2)
const clients = serveWithWs(Number(port), redisUrl!, (updates) => {
  for (const update of updates) {
    const frame = `{"updates":[${update.json}]}`
    for (const [client, wish] of clients) if (wish?.(update) ?? true) client.send(frame)
  }
})
