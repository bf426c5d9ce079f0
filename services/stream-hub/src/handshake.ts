import { clientCookie, clientIdPattern } from '@flasktoria/contracts/identifiers'
import { subprotocol } from '@flasktoria/contracts/stream'
import type { Protocol } from './frames.ts'
import type { Handshake } from './transport.ts'

/** Sub-protocols that we don't know are no reason to refuse: the old server did not look at them. */
export const protocolOf = ({ protocols }: Handshake): Protocol => (protocols.includes(subprotocol) ? 'v2' : 'plain')

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
