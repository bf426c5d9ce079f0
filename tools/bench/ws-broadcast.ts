// The peer of the hub benchmark: what a service with npm ws and Redis pub/sub usually looks like.
// argv: port redisUrl channel
import { Redis } from 'ioredis'
import { WebSocketServer } from 'ws'

const [port, redisUrl, channel] = process.argv.slice(2)
const server = new WebSocketServer({ port: Number(port), host: '127.0.0.1' })
const redis = new Redis(redisUrl!)
await redis.subscribe(channel!)
redis.on('message', (_, update) => {
  const frame = `{"updates":[${update}]}`
  for (const client of server.clients) client.send(frame)
})
console.log('listening')
