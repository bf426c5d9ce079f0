// Asks one question again and again over some connections, and says what came as JSON. argv: a Load as JSON.
import { connect } from 'node:net'

export type Load = { url: string; headers: Record<string, string>; connections: number; seconds: number }
export type Loaded = { requests: number; seconds: number; 'p50 ms': number; 'p99 ms': number; 'KB / answer': number }

const { url, headers, connections, seconds } = JSON.parse(process.argv[2]!) as Load
const { hostname, port, pathname, search, host } = new URL(url)
const lines = Object.entries({ Host: host, ...headers }).map(([name, value]) => `${name}: ${value}`)
const question = Buffer.from([`GET ${pathname}${search} HTTP/1.1`, ...lines, '', ''].join('\r\n'))

const waits: number[] = []
let bytes = 0
const begunAt = performance.now()
const endsAt = begunAt + seconds * 1_000

/** Asks until the time is over. Reads no more of an answer than where it ends. */
function ask(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect(Number(port), hostname)
  socket.setNoDelay(true)
  socket.on('error', reject).on('close', () => reject(new Error('hung up')))
  let askedAt = 0
  let missing = -1
  const next = () => {
    if (performance.now() >= endsAt) {
      resolve()
      socket.destroy()
      return
    }
    askedAt = performance.now()
    missing = -1
    socket.write(question)
  }
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (missing < 0) missing = lengthOf(chunk)
    missing -= chunk.length
    // In chunks: the last one is empty.
    if (missing === Infinity && chunk.subarray(-5).toString('latin1') === '0\r\n\r\n') missing = 0
    if (missing > 0) return
    waits.push(performance.now() - askedAt)
    next()
  })
  socket.on('connect', next)
  return promise
}

/** From the begin of an answer to its end, in bytes; infinite: it comes in chunks. */
function lengthOf(chunk: Buffer): number {
  const end = chunk.indexOf('\r\n\r\n') + 4
  const head = chunk.toString('latin1', 0, end)
  if (!/^HTTP\/1\.1 (?:200|304)/.test(head)) throw new Error(head)
  if (head.startsWith('HTTP/1.1 304')) return end
  return end + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Infinity)
}

await Promise.all(Array.from({ length: connections }, ask))
const took = (performance.now() - begunAt) / 1_000
const sorted = waits.toSorted((a, b) => a - b)
const at = (share: number) => sorted[Math.floor(sorted.length * share)]!
console.log(
  JSON.stringify({
    requests: waits.length,
    seconds: took,
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
    'KB / answer': bytes / waits.length / 1_000,
  } satisfies Loaded),
)
