export type Hs2Endpoint = { host: string; port: number }

export type Hs2Url = {
  /** The coordinators: equal servers, any of which can run a query. */
  endpoints: readonly Hs2Endpoint[]
  database: string | undefined
  mechanism: 'NOSASL' | 'PLAIN'
  username: string
  password: string
  /** Undefined: no TLS. */
  tls: { caFile: string | undefined; servername: string | undefined } | undefined
  /** With a slash in front. Undefined: not over HTTP. */
  httpPath: string | undefined
}

const defaultPort = 10_000
const shape = /^hive2:\/\/(?:(?<user>[^@/?#]*)@)?(?<hosts>[^@/?#]+)(?:\/(?<database>[^?#]*))?(?:\?(?<options>[^#]*))?$/
const hostShape = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[\w.-]+))(?::(?<port>\d{1,5}))?$/i
const optionNames = new Set(['auth', 'tls', 'ca', 'servername', 'transportMode', 'httpPath'])
/** Where a HiveServer2 itself listens; a gateway has paths of its own. */
const defaultHttpPath = 'cliservice'

/**
 * Reads `hive2://[user:password@]host[:port][,host2[:port]]/[database]?auth=NOSASL|PLAIN&tls=true&ca=/path&servername=…`, and
 * for Apache Knox `…&transportMode=http&httpPath=gateway/default/hive`.
 * Without `auth` a user means PLAIN (Basic over HTTP), no user NOSASL. The port is 10000 unless it is said.
 * @throws TypeError with a sentence for people; it never holds the password
 */
export function parseHs2Url(url: string): Hs2Url {
  const groups = shape.exec(url)?.groups
  if (!groups)
    throw new TypeError('The address of HiveServer2 is not of the form hive2://host:port/database?auth=NOSASL')
  const [username = '', ...password] = (groups['user'] ?? '').split(':')
  const options = readOptions(groups['options'] ?? '')
  const database = decode(groups['database'] ?? '')
  if (!/^\w*$/.test(database)) throw new TypeError(`The database ${JSON.stringify(database)} is not a plain name`)
  return {
    endpoints: groups['hosts']!.split(',').map(readEndpoint),
    database: database || undefined,
    mechanism: readMechanism(options.get('auth'), username !== ''),
    username: decode(username),
    password: decode(password.join(':')),
    tls: readTls(options),
    httpPath: readHttpPath(options),
  }
}

function readEndpoint(text: string): Hs2Endpoint {
  const groups = hostShape.exec(text)?.groups
  const port = Number(groups?.['port'] ?? defaultPort)
  if (!groups || port < 1 || port > 65_535) throw new TypeError(`${JSON.stringify(text)} is not a host and a port`)
  return { host: (groups['v6'] ?? groups['name'])!, port }
}

function readOptions(text: string): Map<string, string> {
  const options = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (!optionNames.has(name))
      throw new TypeError(
        `${JSON.stringify(name)} is no option of HiveServer2's address: ${[...optionNames].join(', ')}`,
      )
    if (options.has(name)) throw new TypeError(`The option ${name} stands twice in the address of HiveServer2`)
    options.set(name, value)
  }
  return options
}

function readMechanism(value: string | undefined, hasUser: boolean): Hs2Url['mechanism'] {
  switch (value?.toUpperCase() ?? (hasUser ? 'PLAIN' : 'NOSASL')) {
    case 'NOSASL': {
      return 'NOSASL'
    }
    case 'PLAIN': {
      return 'PLAIN'
    }
    case 'KERBEROS':
    case 'GSSAPI': {
      throw new TypeError(
        'Kerberos (GSSAPI) is not spoken here: it needs a native library of the machine that this program does not load. ' +
          'Put a gateway that takes PLAIN over TLS in front (Apache Knox, Kyuubi), or let the server take LDAP, and say auth=PLAIN',
      )
    }
    default: {
      throw new TypeError(
        `auth=${value} is not known: NOSASL (no login) or PLAIN (name and password: NONE, LDAP, PAM and CUSTOM in the server's words)`,
      )
    }
  }
}

function readTls(options: Map<string, string>): Hs2Url['tls'] {
  const value = options.get('tls') ?? 'false'
  if (value !== 'true' && value !== 'false') throw new TypeError(`tls=${value} is neither true nor false`)
  const [caFile, servername] = [options.get('ca'), options.get('servername')]
  if (value === 'true') return { caFile, servername }
  if (caFile || servername) throw new TypeError('ca and servername mean nothing without tls=true')
  return undefined
}

function readHttpPath(options: Map<string, string>): string | undefined {
  const mode = options.get('transportMode') ?? 'binary'
  const path = options.get('httpPath')
  if (mode !== 'binary' && mode !== 'http') throw new TypeError(`transportMode=${mode} is neither binary nor http`)
  if (mode === 'http') {
    if (path !== undefined && !/^[\w.~%!$'()*+,;:@/-]+$/.test(path))
      throw new TypeError(`httpPath=${JSON.stringify(path)} is not the path of an address`)
    return `/${(path ?? defaultHttpPath).replace(/^\/+/, '')}`
  }
  if (path !== undefined) throw new TypeError('httpPath means nothing without transportMode=http')
  return undefined
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError('The address of HiveServer2 has a broken % escape: write a % itself as %25')
  }
}
