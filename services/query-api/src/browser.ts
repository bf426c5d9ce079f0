import { clientCookie, clientIdPattern } from '@flasktoria/contracts/identifiers'
import type { Context } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import { Problem } from './problem.ts'
import type { RequestEnv } from './request-env.ts'

/** The origin as the browser wrote it in its address bar. */
export type BrowserOrigin = { isSecure: boolean; host: string }

const hostPattern = /^(?:[a-z0-9_](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i

/**
 * From what our nginx says of it, else from the request itself.
 * @throws Problem when the Host header is no host
 */
export function browserOrigin(c: Context<RequestEnv>): BrowserOrigin {
  const url = new URL(c.req.url)
  const scheme = firstOf(c.req.header('X-Forwarded-Proto'), /^https?$/i) ?? url.protocol.replace(':', '')
  const forwarded = firstOf(c.req.header('X-Forwarded-Host'), hostPattern)
  const host = forwarded ?? firstOf(c.req.header('Host') ?? url.host, hostPattern)
  if (host === undefined) throw new Problem('invalid_request', 'The Host header is malformed.')
  return { isSecure: scheme.toLowerCase() === 'https', host }
}

/** Each proxy on the way appends its own: the first one is the browser's. */
function firstOf(header: string | undefined, pattern: RegExp): string | undefined {
  const first = header?.split(',', 1)[0]!.trim()
  return first !== undefined && pattern.test(first) ? first : undefined
}

/**
 * Who asks: the id that the caller names, or that of its cookie, or a fresh one, which its cookie keeps from now on.
 * @throws Problem when it names something that is no id of ours
 */
export function clientOf(c: Context<RequestEnv>, newId: () => string, named?: string): string {
  if (named !== undefined) {
    if (!clientIdPattern.test(named)) throw new Problem('invalid_parameter', 'client is malformed.', ['client'])
    return named
  }
  const known = getCookie(c, clientCookie)
  if (known !== undefined && clientIdPattern.test(known)) return known
  const id = newId()
  setCookie(c, clientCookie, id, {
    path: '/',
    httpOnly: true,
    sameSite: 'Lax',
    secure: browserOrigin(c).isSecure,
  })
  return id
}
