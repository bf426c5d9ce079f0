// N WebSocket clients in one process, over bare sockets: reads frames, counts, and measures how old updates are on arrival.
// argv: url clients. stdin: any line answers the counts since the last one as a JSON line.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

const url = new URL(process.argv[2]!)
const clients = Number(process.argv[3])
/** Every client counts frames and bytes; these also count updates and read their times. */
const sampled = 8

let bytes = 0
let sampledBytes = 0
let frames = 0
let updates = 0
let ages: number[] = []

function readSample(payload: Buffer): void {
  sampledBytes += payload.length
  const now = Date.now()
  const message = JSON.parse(payload.toString()) as { updates: { timestamp: number }[] }
  updates += message.updates.length
  for (const { timestamp } of message.updates) ages.push(now - timestamp)
}

/** Calls `onPayload` for each whole unmasked frame; frames of a server are never masked. */
function frameReader(onPayload: (payload: Buffer) => void) {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (;;) {
      if (rest.length < 2) return
      const short = rest[1]! & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (rest.length < header) return
      const length = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
      if (rest.length < header + length) return
      if ((rest[0]! & 0x0f) === 1) onPayload(rest.subarray(header, header + length))
      rest = rest.subarray(header + length)
    }
  }
}

function join(index: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect(Number(url.port), url.hostname)
  const key = randomBytes(16).toString('base64')
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  )
  const read = frameReader((payload) => {
    frames++
    bytes += payload.length
    if (index < sampled) readSample(payload)
  })
  let head: Buffer | undefined = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    if (!head) return read(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const rest = head.subarray(end + 4)
    head = undefined
    resolve()
    read(rest)
  })
  socket.on('error', reject)
  socket.on('close', () => reject(new Error('closed')))
  return promise
}

for (let index = 0; index < clients; index += 50)
  await Promise.all(Array.from({ length: Math.min(50, clients - index) }, (_, offset) => join(index + offset)))
console.log(JSON.stringify({ joined: clients }))

for await (const _ of createInterface({ input: process.stdin })) {
  ages.sort((a, b) => a - b)
  const quantile = (q: number) => ages[Math.floor(q * (ages.length - 1))] ?? 0
  // All clients see the same updates: the sample says how many bytes an update takes.
  const delivered = sampledBytes > 0 ? (bytes / sampledBytes) * updates : 0
  console.log(JSON.stringify({ frames, bytes, delivered, p50: quantile(0.5), p99: quantile(0.99) }))
  bytes = sampledBytes = frames = updates = 0
  ages = []
}
process.exit(0)
