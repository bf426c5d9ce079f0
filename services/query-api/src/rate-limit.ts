import { clientCookie, clientIdPattern } from '@flasktoria/contracts/identifiers'
import { Allowance } from '@flasktoria/service-kit/allowance'
import type { Context } from 'hono'
import { getCookie } from 'hono/cookie'
import { Problem } from './problem.ts'
import type { RequestEnv } from './request-env.ts'

/** How many questions about history a client may ask: `burst` at once, `perSecond` in the long run. */
export type RatePolicy = { burst: number; perSecond: number }

/** Whose last question is longest ago is forgotten first: its allowance is most likely full again. */
const maxClients = 10_000
const maxAddressLength = 45

/**
 * Keeps one client's zeal from being everybody's wait, and says beforehand what is left (draft-ietf-httpapi-ratelimit-headers-10).
 * It is no defence: ids can be invented. That no number of clients overruns the warehouse is up to `HistoryGate`.
 */
export function limitRate({ burst, perSecond }: RatePolicy, now: () => number): (c: Context<RequestEnv>) => void {
  const allowances = new Map<string, Allowance>()
  const policy = `"history";q=${burst};w=${Math.ceil(burst / perSecond)}`

  function allowanceOf(client: string): Allowance {
    const allowance = allowances.get(client) ?? new Allowance(burst, perSecond)
    allowances.delete(client)
    allowances.set(client, allowance)
    if (allowances.size > maxClients) allowances.delete(allowances.keys().next().value!)
    return allowance
  }

  return (c) => {
    const allowance = allowanceOf(clientKey(c))
    const at = now()
    const isAllowed = allowance.take(at)
    const left = Math.floor(allowance.left(at))
    c.header('RateLimit-Policy', policy)
    c.header('RateLimit', `"history";r=${left};t=${Math.ceil(allowance.secondsUntil(burst, at))}`)
    if (isAllowed) return
    c.header('Retry-After', String(Math.ceil(allowance.secondsUntil(1, at))))
    throw new Problem('too_many_requests')
  }
}

/** The browser by its cookie; who has none by the address that the proxy before us saw. */
function clientKey(c: Context<RequestEnv>): string {
  const id = getCookie(c, clientCookie)
  if (id !== undefined && clientIdPattern.test(id)) return id
  const forwarded = c.req.header('X-Forwarded-For')?.split(',').at(-1)?.trim().slice(0, maxAddressLength)
  // Without a server, as in tests, there are no bindings.
  const bindings = c.env as RequestEnv['Bindings'] | undefined
  return `address:${forwarded ?? bindings?.incoming?.socket.remoteAddress}`
}
