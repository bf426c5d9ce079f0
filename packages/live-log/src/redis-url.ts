const redisPort = 6_379
const sentinelPort = 26_379

type Address = { host: string; port: number }

/** How ioredis gets from sentinels to a master. */
export type Master = {
  name: string
  sentinels: Address[]
  failoverDetector: true
  db: number
  username?: string
  password?: string
  sentinelPassword?: string
  tls?: object
  sentinelTLS?: object
  enableTLSForSentinelMode?: true
}

/**
 * Where a Redis is: `redis://user:password@host:port/db`, `rediss://` with TLS. With `master`, the host is a Sentinel, which
 * knows where the master of this name is just now; `sentinels` are further ones, and `sentinelPassword` is theirs:
 *
 *     redis://:secret@sentinel-1:26379/0?sentinels=sentinel-2:26379,sentinel-3:26379&master=fleet
 *
 * @returns the address that is asked first, and `master` behind Sentinel
 * @throws Error in a sentence, when it makes no sense
 */
export function parseRedisUrl(text: string): Address & { master?: Master } {
  const url = new URL(text)
  const { searchParams, username, password } = url
  const name = searchParams.get('master')
  if (name === null) {
    if (searchParams.has('sentinels')) throw new Error('it names sentinels, but no master=NAME')
    return { host: bare(url.hostname), port: Number(url.port) || redisPort }
  }
  const others = searchParams.get('sentinels')?.split(',') ?? []
  const first = sentinelOf(url.host)
  const sentinelPassword = searchParams.get('sentinelPassword')
  const master: Master = {
    name,
    sentinels: [first, ...others.map(sentinelOf)],
    failoverDetector: true,
    db: Number(url.pathname.slice(1)),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(sentinelPassword !== null && { sentinelPassword }),
    ...(url.protocol === 'rediss:' && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true as const }),
  }
  if (!Number.isInteger(master.db)) throw new Error(`${JSON.stringify(url.pathname)} is no number of a database`)
  return { ...first, master }
}

/** @throws Error in a sentence */
export function checkedRedisUrl(text: string): string {
  parseRedisUrl(text)
  return text
}

function sentinelOf(text: string): Address {
  const [, host, port] = /^([\w.-]+|\[[\da-f:.]+\])(?::(\d{1,5}))?$/i.exec(text) ?? []
  if (host === undefined) throw new Error(`${JSON.stringify(text)} is no sentinel, such as sentinel-2:26379`)
  return { host: bare(host), port: Number(port ?? sentinelPort) }
}

/** An IPv6 address without its brackets. */
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')
