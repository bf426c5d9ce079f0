import { clientCookie, clientIdPattern } from '@flasktoria/contracts/identifiers'
import { subprotocol } from '@flasktoria/contracts/stream'
import type { Protocol } from './frames.ts'
import type { Handshake } from './transport.ts'

/**
 * By sub-protocol; a program that can't offer one names it in the URL. Others than ours are no reason to refuse: the old
 * server did not look at them.
 */
export const protocolOf = ({ protocols, query }: Handshake): Protocol =>
  [...protocols, new URLSearchParams(query).get('protocol')].includes(subprotocol) ? 'v2' : 'plain'

/** Whose mutes hold: the id in the URL, else the one in the cookie. Undefined: nobody's. */
export const clientOf = ({ query, cookie }: Handshake): string | undefined =>
  [new URLSearchParams(query).get('client') ?? undefined, cookieValue(cookie, clientCookie)].find(
    (id) => id !== undefined && clientIdPattern.test(id),
  )

const cookieValue = (header: string, name: string): string | undefined =>
  header
    .split(';')
    .map((pair) => pair.trim().split('='))
    .find(([key]) => key === name)?.[1]
    ?.replace(/^"(.*)"$/, '$1')

/** Programs send no Origin, and no rule about browsers holds for them. */
export const isOriginAllowed = ({ origin }: Handshake, allowed: readonly string[] | undefined): boolean =>
  !allowed || origin === '' || allowed.includes(origin)
