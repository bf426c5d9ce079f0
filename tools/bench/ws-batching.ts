// A peer of the hub benchmark: npm ws as well as it goes. What came within a tick goes out in one frame, made once for all
// clients who want the same.
// argv: port redisUrl tickMs
import { serveWithWs, type Seen } from './hub/ws-peer.ts'

const [port, redisUrl, tickMs] = process.argv.slice(2)
let waiting: Seen[] = []
const clients = serveWithWs(Number(port), redisUrl!, (updates) => waiting.push(...updates))

const frameOf = (updates: readonly Seen[]) => Buffer.from(`{"updates":[${updates.map(({ json }) => json).join()}]}`)

setInterval(() => {
  if (waiting.length === 0) return
  const batch = waiting
  waiting = []
  const whole = frameOf(batch)
  for (const [client, wish] of clients) {
    const wanted = wish && batch.filter(wish)
    if (wanted?.length !== 0) client.send(wanted ? frameOf(wanted) : whole, { binary: false })
  }
}, Number(tickMs))
