import { logKeys, defaultPrefix } from '@flasktoria/live-log/redis-keys'
import { openRedis, type Redis } from '@flasktoria/live-log/redis'
import { parseRedisUrl } from '@flasktoria/live-log/redis-url'
import { messageOf, ok, warning, wrong, type Chart, type CheckOptions, type Judgement } from './chart.ts'
import { judgeClock } from './clock.ts'
import { reach } from './reach.ts'

const later = ['version', 'role', 'eviction', 'memory', 'persistence', 'rights', 'clock'] as const
const leastVersion = [6, 2]
const fullShare = 0.8
const answerWithinMs = 5_000

const frozen = wrong(
  'it accepts connections and does not answer',
  'It may be frozen, swapping, or busy with one slow command (SLOWLOG GET); a port with TLS wants rediss://.',
)
const noTls = wrong(
  'it accepts connections and does not speak TLS',
  'Let REDIS_URL begin with redis://, or name the port that speaks TLS.',
)

/** Is it there, is it ours to write in, and will it keep what we write? */
export async function examineRedis(chart: Chart, url: string | undefined): Promise<void> {
  if (url === undefined) {
    chart.note('address', wrong('REDIS_URL is missing', 'Set REDIS_URL: all three services need it.'))
    return chart.unchecked(['connection', 'login', ...later], 'REDIS_URL names no Redis')
  }
  const { host, port } = parseRedisUrl(url)
  const isThere = await chart.check('connection', (signal) => reach(host, port, 'REDIS_URL', signal))
  if (!isThere) return chart.unchecked(['login', ...later], 'Redis is not reachable')
  const redis = openRedis(url, {
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  })
  // What ends a connection says so here; the command under way only hears that it is closed.
  let reason: Error | undefined
  redis.on('error', (error: Error) => (reason ??= error))
  const within = {
    withinMs: answerWithinMs,
    late: () => (url.startsWith('rediss:') ? noTls : frozen),
    failed: (error: unknown) => judgeRefusal(reason ?? error),
  }
  try {
    await examineServer(chart, redis, within)
  } finally {
    redis.disconnect()
  }
}

async function examineServer(chart: Chart, redis: Redis, within: CheckOptions): Promise<void> {
  const isIn = await chart.check(
    'login',
    async () => {
      await redis.connect()
      await redis.ping()
      return ok('it lets us in and answers')
    },
    within,
  )
  if (!isIn) return chart.unchecked(later, 'Redis does not let us in, or does not answer')
  let facts: Facts = new Map()
  const knowsItself = await chart.check(
    'version',
    async () => {
      facts = factsOf(await redis.info())
      return judgeVersion(facts)
    },
    within,
  )
  if (facts.size === 0) chart.unchecked(['role', 'eviction', 'memory', 'persistence'], 'Redis does not answer INFO')
  else {
    chart.note('role', judgeRole(facts))
    chart.note('eviction', judgeEviction(facts))
    chart.note('memory', judgeMemory(facts))
    chart.note('persistence', judgePersistence(facts))
  }
  if (!knowsItself && facts.size === 0) return chart.unchecked(['rights', 'clock'], 'Redis does not answer INFO')
  await chart.check('rights', () => tryToWrite(redis), within)
  await chart.check('clock', () => askForTime(redis), within)
}

type Facts = Map<string, string>

const factsOf = (info: string): Facts =>
  new Map(
    info
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )

const numberOf = (facts: Facts, name: string): number => Number(facts.get(name) ?? 0)

function judgeVersion(facts: Facts): Judgement {
  const version = facts.get('redis_version') ?? 'unknown'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isNewEnough = major > leastVersion[0]! || (major === leastVersion[0] && minor >= leastVersion[1]!)
  const name = facts.has('valkey_version') ? `Valkey ${facts.get('valkey_version')}` : `Redis ${version}`
  return isNewEnough ? ok(name) : wrong(`${name} is older than 6.2`, 'Use Redis 6.2 or newer, or any Valkey.')
}

function judgeRole(facts: Facts): Judgement {
  if (facts.get('cluster_enabled') === '1')
    return warning(
      'it is a node of a Redis Cluster; the services speak with this one node only',
      'Name the node that holds the slot of {0}, or use a Redis of its own.',
    )
  if (facts.get('role') === 'master') return ok('it takes writes')
  const master = `${facts.get('master_host')}:${facts.get('master_port')}`
  return wrong(`it is a replica of ${master} and takes no writes`, `Let REDIS_URL name ${master}.`)
}

function judgeEviction(facts: Facts): Judgement {
  const policy = facts.get('maxmemory_policy') ?? 'unknown'
  if (policy === 'noeviction') return ok('it never throws anything away by itself')
  return wrong(
    `maxmemory-policy is ${policy}: under pressure Redis throws parts of the live log away, silently`,
    'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.',
  )
}

const mebibytes = (bytes: number) => `${Math.round(bytes / 1_048_576)} MiB`

function judgeMemory(facts: Facts): Judgement {
  const [used, limit, total] = ['used_memory', 'maxmemory', 'total_system_memory'].map((name) => numberOf(facts, name))
  const most = limit || total || 0
  const says = limit
    ? `${mebibytes(used!)} of ${mebibytes(limit)} are used`
    : `${mebibytes(used!)} are used; there is no limit but the machine's ${mebibytes(most)}`
  if (most === 0 || used! <= fullShare * most) return ok(says)
  return warning(`${says}: nearly full`, 'Raise maxmemory (or the machine), or find out who else fills this Redis.')
}

function judgePersistence(facts: Facts): Judgement {
  if (facts.get('loading') === '1') return wrong('it is still loading its data', 'Wait until it has.')
  const failure = ['rdb_last_bgsave_status', 'aof_last_write_status'].find(
    (name) => facts.has(name) && facts.get(name) !== 'ok',
  )
  if (failure)
    return wrong(
      `it can't write to its disk (${failure} is ${facts.get(failure)}), and may refuse writes for it`,
      "Free its disk; the reason is in Redis' log.",
    )
  return ok(
    facts.get('aof_enabled') === '1'
      ? 'it remembers across a restart (append-only file)'
      : 'after a restart it is as of its last snapshot, or empty: clients are told of a gap, and the picture fills again',
  )
}

/** What the services do there, under a name beside theirs: all in one script, as they do. */
const script = `
redis.call('HSET', KEYS[1], 'doctor', '1')
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('PUBLISH', KEYS[1], '')
return redis.call('DEL', KEYS[1])`

async function tryToWrite(redis: Redis): Promise<Judgement> {
  await redis.eval(script, 1, `${logKeys(defaultPrefix).head}-doctor`)
  return ok('scripts may write and publish there')
}

async function askForTime(redis: Redis): Promise<Judgement> {
  const askedAt = Date.now()
  const [seconds, microseconds] = (await redis.time()).map(Number)
  const answeredAt = Date.now()
  return judgeClock(
    seconds! * 1_000 + Math.floor(microseconds! / 1_000),
    (askedAt + answeredAt) / 2,
    answeredAt - askedAt,
  )
}

const refusals: readonly (readonly [RegExp, says: string, advice: string])[] = [
  [/^NOAUTH|HELLO must be called/, 'it wants a password', 'Let REDIS_URL be redis://user:password@host:port.'],
  [/^WRONGPASS|invalid password/, 'the user or the password is wrong', 'Correct them in REDIS_URL.'],
  [
    /without any password configured/,
    'it knows no password, and one was given',
    'Take the password out of REDIS_URL, or set one in Redis.',
  ],
  [
    /^NOPERM|NOPERM /,
    'this user lacks a right',
    `ACL SETUSER … ~${defaultPrefix}:* &${defaultPrefix}:* +@all -@admin -@dangerous +info`,
  ],
  [/^READONLY/, 'it is a replica, or turned into one', 'Let REDIS_URL name the primary.'],
  [/^MOVED|^CROSSSLOT/, 'another node of the Redis Cluster holds our keys', 'Let REDIS_URL name that node.'],
  [/^OOM/, 'its memory is full', 'Raise maxmemory.'],
  [/^MISCONF/, "it can't write to its disk and refuses writes for it", "Free its disk; the reason is in Redis' log."],
  [/^LOADING/, 'it is still loading its data', 'Wait until it has.'],
  [/max number of clients/, 'it has as many clients as it takes', 'Raise maxclients.'],
]

function judgeRefusal(error: unknown): Judgement {
  // Inside a script the reason is quoted.
  const message = messageOf(error).replace(/^ERR Error running script.*?: (?=[A-Z]+ )/, '')
  const known = refusals.find(([pattern]) => pattern.test(message))
  return known
    ? wrong(`${known[1]} (${message})`, known[2])
    : wrong(message, 'Does REDIS_URL name a Redis, with redis:// or, for TLS, rediss://?')
}
