import { readFileSync } from 'node:fs'
import { CookieJar } from './cookie-jar.ts'
import type { Hs2Endpoint, Hs2Url } from './hs2-url.ts'

/** One coordinator, and how to be let in. */
export type Hs2Server = {
  endpoint: Hs2Endpoint
  mechanism: Hs2Url['mechanism']
  username: string
  password: string
  /** Undefined: no TLS. The servername is that of the certificate, if it differs from the host. */
  tls: { ca: string | undefined; servername: string | undefined } | undefined
  /** Undefined: messages go over TCP as they are. */
  http: { path: string; cookies: CookieJar } | undefined
}

/** @throws Error when the file with the certificates can't be read */
export function serversOf({ endpoints, mechanism, username, password, tls, httpPath }: Hs2Url): Hs2Server[] {
  const ca = tls?.caFile === undefined ? undefined : readFileSync(tls.caFile, 'utf8')
  return endpoints.map((endpoint) => ({
    endpoint,
    mechanism,
    username,
    password,
    tls: tls && { ca, servername: tls.servername },
    http: httpPath === undefined ? undefined : { path: httpPath, cookies: new CookieJar() },
  }))
}
