import { operations } from '@flasktoria/contracts/rest'
import { helloSchema, subprotocol } from '@flasktoria/contracts/stream'
import { once } from 'node:events'
import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, get as httpsGet } from 'node:https'
import { text } from 'node:stream/consumers'
import { WebSocket } from 'ws'
import { messageOf, ok, warning, wrong, type Chart, type Judgement } from './chart.ts'
import { judgeClock } from './clock.ts'
import { reach } from './reach.ts'

const later = ['console', 'api', 'operations', 'keep-alive', 'socket', 'plain socket', 'clock'] as const
const upgradeAdvice =
  'Let the proxy pass the upgrade on: proxy_http_version 1.1, proxy_set_header Upgrade and Connection, as deploy/nginx.conf does.'

/** Does a browser get everything there: the page, the API, the live socket? */
export async function examineOrigin(chart: Chart, origin: string): Promise<void> {
  const { protocol, hostname, port } = new URL(origin)
  const defaultPort = protocol === 'https:' ? 443 : 80
  const isThere = await chart.check('connection', (signal) =>
    reach(hostname.replace(/^\[|\]$/g, ''), Number(port) || defaultPort, 'ORIGIN_URL', signal),
  )
  if (!isThere) return chart.unchecked(later, 'the origin is not reachable')
  await Promise.all([
    chart.check('console', (signal) => askForConsole(origin, signal)),
    chart.check('api', (signal) => askForMap(origin, signal)),
    chart.check('operations', (signal) => askForMetrics(origin, signal)),
    chart.check('keep-alive', (signal) => askTwice(origin, signal)),
    chart.check('socket', (signal) => openSocket(origin, signal), { failed: judgeHandshake }),
    chart.check('plain socket', (signal) => openPlainSocket(origin, signal), { failed: judgeHandshake }),
    chart.check('clock', (signal) => askForDate(origin, signal)),
  ])
}

const ask = (url: string, signal: AbortSignal) => fetch(url, { signal, redirect: 'manual' })

async function askForConsole(origin: string, signal: AbortSignal): Promise<Judgement> {
  const response = await ask(`${origin}/`, signal)
  const body = await response.text()
  if (response.ok && /<!doctype html>/i.test(body)) return ok('/ shows the console')
  return wrong(
    `/ answers ${response.status}, and not with a page`,
    'Let root of deploy/listen.conf name the built console.',
  )
}

async function askForMap(origin: string, signal: AbortSignal): Promise<Judgement> {
  const { path, ok: contract } = operations.getMap
  const response = await ask(`${origin}${path}`, signal)
  const body = await response.text()
  if (response.status === 502 || response.status === 504)
    return wrong(
      `${path} answers ${response.status}: nobody answers behind it`,
      'Does query-api run where the upstream query_api says?',
    )
  if (!response.ok) return wrong(`${path} answers ${response.status}`, '/readyz of query-api says what it lacks.')
  const map = contract.schema.safeParse(parse(body))
  if (!map.success)
    return wrong(
      `${path} answers something else than a map`,
      'Does /api/ lead to query-api, of the same version as this?',
    )
  return ok(`${path} shows ${vehicleCount(map.data)} vehicles`)
}

const parse = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

const vehicleCount = (map: unknown): number => {
  const { vehicles } = map as { vehicles?: readonly unknown[] }
  return vehicles?.length ?? 0
}

async function askForMetrics(origin: string, signal: AbortSignal): Promise<Judgement> {
  const open: string[] = []
  for (const path of ['/metrics', '/readyz', '/api/metrics', '/api/readyz']) {
    const response = await ask(`${origin}${path}`, signal)
    const body = await response.text()
    if (response.ok && !/<!doctype html>/i.test(body)) open.push(path)
  }
  return open.length === 0
    ? ok('what is for operators is not shown to everybody')
    : warning(`${open.join(', ')} can be read from outside`, 'Let the proxy pass on /api/ and /ws only.')
}

/** A proxy that closes after each answer costs every browser a handshake a question. */
async function askTwice(origin: string, signal: AbortSignal): Promise<Judgement> {
  const isTls = origin.startsWith('https:')
  const agent = isTls ? new TlsAgent({ keepAlive: true, maxSockets: 1 }) : new Agent({ keepAlive: true, maxSockets: 1 })
  const askOnce = async () => {
    const request = (isTls ? httpsGet : httpGet)(`${origin}${operations.getMap.path}`, { agent, signal })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    await text(response)
    return request.reusedSocket
  }
  try {
    await askOnce()
    return (await askOnce())
      ? ok('a second question needs no second connection')
      : warning(
          'it closes the connection after each answer',
          'Let the proxy keep connections: keepalive_timeout above 0, and no "Connection: close" towards the services.',
        )
  } finally {
    agent.destroy()
  }
}

const socketUrl = (origin: string, path: string) => `${origin.replace(/^http/, 'ws')}${path}`

async function openSocket(origin: string, signal: AbortSignal): Promise<Judgement> {
  const socket = new WebSocket(socketUrl(origin, '/ws'), subprotocol)
  const onAbort = () => socket.terminate()
  signal.addEventListener('abort', onAbort)
  try {
    const hello = once(socket, 'message', { signal })
    hello.catch(() => {})
    await once(socket, 'open', { signal })
    const [message] = (await hello) as [Buffer]
    const { server, heartbeatMs } = helloSchema.parse(parse(String(message)))
    return ok(`/ws opens with ${subprotocol}; ${server} pings every ${heartbeatMs / 1_000} s`)
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.on('error', () => {})
    socket.terminate()
  }
}

/** As the old front ends do: on any path, without a sub-protocol. */
async function openPlainSocket(origin: string, signal: AbortSignal): Promise<Judgement> {
  const socket = new WebSocket(socketUrl(origin, '/'))
  try {
    await once(socket, 'open', { signal })
    return ok('old front ends get a socket on any path')
  } finally {
    socket.on('error', () => {})
    socket.terminate()
  }
}

function judgeHandshake(error: unknown): Judgement {
  const message = messageOf(error)
  const status = Number(/Unexpected server response: (\d+)/.exec(message)?.[1])
  if (status === 502 || status === 504)
    return wrong(
      `the socket is refused with ${status}: nobody answers behind it`,
      'Does stream-hub run where the upstream stream_hub says?',
    )
  if (status === 503)
    return wrong(
      'the socket is refused with 503',
      'No hub is ready: /readyz of stream-hub says why; or all are full (MAX_CONNECTIONS).',
    )
  if (status === 403)
    return wrong('the socket is refused with 403', 'ALLOWED_ORIGINS of stream-hub does not name this origin.')
  if (status === 429)
    return wrong('the socket is refused with 429', 'Raise limit_conn and limit_req in deploy/upstreams.conf.')
  if (status) return wrong(`the socket is refused with ${status}`, upgradeAdvice)
  // ws refuses by itself to go on without what it asked for.
  if (/subprotocol/i.test(message))
    return wrong(
      `/ws opens, without the sub-protocol ${subprotocol}`,
      'Let the proxy pass Sec-WebSocket-Protocol on, both ways; or is something else than stream-hub behind /ws?',
    )
  return wrong(message, upgradeAdvice)
}

async function askForDate(origin: string, signal: AbortSignal): Promise<Judgement> {
  const askedAt = Date.now()
  const response = await ask(`${origin}/`, signal)
  const answeredAt = Date.now()
  await response.body?.cancel()
  const date = Date.parse(response.headers.get('date') ?? '')
  if (Number.isNaN(date)) return ok('it does not say its time')
  return judgeClock(date + 500, (askedAt + answeredAt) / 2, answeredAt - askedAt + 500)
}
