import type { Context } from 'hono'
import type { RequestEnv } from './request-env.ts'

/** Whose pages may read the answers: `*` is everybody's. */
export type AllowedOrigins = '*' | readonly string[]

/** @throws Error for what no browser would send as its `Origin` */
export function readOrigins(text: string): AllowedOrigins {
  if (text.trim() === '*') return '*'
  const origins = text.split(',').map((origin) => origin.trim())
  const wrong = origins.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin)
  if (wrong === undefined) return origins
  throw new Error(`${JSON.stringify(wrong)} is no origin, such as https://fleet.example.com`)
}

/** What a page may see of an answer beside its body. */
const exposed = ['ETag', 'Preference-Applied', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id'].join(
  ', ',
)

/** How long a browser need not ask again before it asks: more than two hours is not taken by all. */
const preflightSeconds = 7_200

/** With its own origin named, a page may send the client's cookie along. */
export function allowOrigin(c: Context<RequestEnv>, allowed: AllowedOrigins): void {
  const origin = c.req.header('Origin')
  c.header('Vary', 'Origin')
  if (allowed !== '*' && (origin === undefined || !allowed.includes(origin))) return
  c.header('Access-Control-Allow-Origin', origin ?? '*')
  if (c.req.method === 'OPTIONS') c.header('Access-Control-Max-Age', String(preflightSeconds))
  if (origin === undefined) return
  c.header('Access-Control-Allow-Credentials', 'true')
  c.header('Access-Control-Expose-Headers', exposed)
}
