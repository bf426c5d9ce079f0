import { messageOf, ok, warning, wrong, type Chart, type Judgement } from './chart.ts'
import { blocksOf, findAll, milliseconds, readNginxConf, settingIn, type Directive, type Place } from './nginx-conf.ts'

/** The hub's own times that those of nginx have to be longer than. */
type HubTimes = { pingIntervalMs: number; slowAfterMs: number; maxConnections: number }

const nginxDefaultMs = 60_000
const most = { proxyBufferBytes: 64 * 1_024, kernelBufferBytes: 1_048_576 }

/** The traps that show only after hours, or with a thousand browsers: they are read, not tried. */
export function examineNginx(chart: Chart, path: string, hub: HubTimes): void {
  let conf: Directive[]
  try {
    conf = readNginxConf(path)
  } catch (error) {
    return chart.note('nginx', wrong(messageOf(error), 'Let NGINX_CONF name the file that nginx is started with.'))
  }
  const sockets = [...blocksOf(conf, 'location')].filter(isForSockets)
  const [place] = sockets
  if (!place)
    return chart.note(
      'nginx: upgrade',
      wrong(
        'no location passes an upgrade on',
        'Set proxy_set_header Upgrade and Connection, as deploy/nginx.conf does.',
      ),
    )
  chart.note('nginx: upgrade', judgeUpgrade(place))
  chart.note('nginx: silence', judgeSilence(place, hub))
  chart.note('nginx: slow browsers', judgeSlowness(place, hub))
  chart.note('nginx: buffers', judgeBuffers(conf, place))
  chart.note('nginx: kept connections', judgeKeepAlive(conf))
  chart.note('nginx: connections', judgeConnections(conf, hub))
}

/** A location that passes on to the hub: it forwards upgrades, and lets no plain request through. */
function isForSockets(place: Place): boolean {
  const own = place.block.inner
  const passes = own.some(({ name }) => name === 'proxy_pass')
  const isNamed =
    /\/ws\b/.test(place.block.words.join(' ')) || own.some(({ words }) => words[0]?.endsWith('stream_hub'))
  return passes && isNamed && !own.some(({ name }) => name === 'internal') && headerIn(place, 'Upgrade') !== undefined
}

/** nginx takes all proxy_set_header of the nearest block that has any, and none of the outer ones. */
function headerIn({ path }: Place, header: string): string | undefined {
  for (const { inner } of path.toReversed()) {
    const set = inner.filter(({ name }) => name === 'proxy_set_header')
    if (set.length > 0) return set.find(({ words }) => words[0]?.toLowerCase() === header.toLowerCase())?.words[1]
  }
  return undefined
}

function judgeUpgrade(place: Place): Judgement {
  const isNewEnough = settingIn(place, 'proxy_http_version')?.words[0] === '1.1'
  if (headerIn(place, 'Connection') !== undefined && isNewEnough) return ok('upgrades are passed on')
  return wrong(
    'upgrades are not passed on',
    'Set proxy_http_version 1.1, and proxy_set_header Connection beside Upgrade.',
  )
}

function judgeSilence(place: Place, { pingIntervalMs }: HubTimes): Judgement {
  const ms = milliseconds(settingIn(place, 'proxy_read_timeout')?.words[0]) ?? nginxDefaultMs
  if (ms > pingIntervalMs)
    return ok(`a socket may be silent for ${ms / 1_000} s, and the hub pings every ${pingIntervalMs / 1_000} s`)
  return wrong(
    `nginx ends a socket that is silent for ${ms / 1_000} s, and the hub pings every ${pingIntervalMs / 1_000} s only`,
    'Raise proxy_read_timeout above PING_INTERVAL_MS, or lower that.',
  )
}

function judgeSlowness(place: Place, { slowAfterMs }: HubTimes): Judgement {
  const ms = milliseconds(settingIn(place, 'send_timeout')?.words[0]) ?? nginxDefaultMs
  if (ms > slowAfterMs) return ok('a stalled browser is closed by the hub, with a code')
  return warning(
    `nginx ends a stalled browser after ${ms / 1_000} s, before the hub can say why (SLOW_AFTER_MS is ${slowAfterMs / 1_000} s)`,
    'Raise send_timeout in the location of the sockets above SLOW_AFTER_MS.',
  )
}

/** What lies in buffers is old when it arrives, and hides from the hub that a browser is slow. */
function judgeBuffers(conf: readonly Directive[], place: Place): Judgement {
  const size = bytes(settingIn(place, 'proxy_buffer_size')?.words[0]) ?? 8_192
  if (size > most.proxyBufferBytes)
    return warning(
      `nginx holds ${size / 1_024} KiB of each socket, each way`,
      'Lower proxy_buffer_size to 8k in that location.',
    )
  const listens = findAll(conf, 'listen')
  const sndbuf = bytes(
    listens
      .flatMap(({ words }) => words)
      .find((word) => word.startsWith('sndbuf='))
      ?.slice(7),
  )
  if (sndbuf === undefined)
    return warning(
      'the kernel may hide up to 4 MB of each slow browser from the hub',
      'Add sndbuf=128k to listen, as deploy/listen.conf does.',
    )
  if (sndbuf > most.kernelBufferBytes)
    return warning(
      `the kernel hides ${sndbuf / 1_024} KiB of each slow browser from the hub`,
      'Lower sndbuf of listen to 128k.',
    )
  return ok(`at most ${sndbuf / 1_024} KiB of a slow browser hide from the hub`)
}

function judgeKeepAlive(conf: readonly Directive[]): Judgement {
  const upstreams = findAll(conf, 'upstream').filter(({ words }) => words[0] !== 'stream_hub')
  const lacking = upstreams.filter(({ inner }) => !inner.some(({ name }) => name === 'keepalive'))
  if (upstreams.length > 0 && lacking.length === 0) return ok('connections to query-api are kept')
  return warning(
    'each question to query-api opens a connection of its own',
    'Give its upstream keepalive 64, and send it no "Connection: close".',
  )
}

function judgeConnections(conf: readonly Directive[], { maxConnections }: HubTimes): Judgement {
  const count = Number(findAll(conf, 'worker_connections')[0]?.words[0] ?? 512)
  if (count >= 2 * maxConnections) return ok(`a worker takes ${count} connections`)
  return warning(
    `a worker of nginx takes ${count} connections, and ${maxConnections} browsers need two each`,
    'Raise worker_connections to twice MAX_CONNECTIONS, and the limit of open files with it.',
  )
}

const bytes = (text: string | undefined): number | undefined => {
  const [, amount, unit] = /^(\d+)([km]?)$/i.exec(text ?? '') ?? []
  if (amount === undefined) return undefined
  return Number(amount) * (unit === '' ? 1 : unit?.toLowerCase() === 'k' ? 1_024 : 1_048_576)
}
