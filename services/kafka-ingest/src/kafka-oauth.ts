import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'

/** Who asks where for tokens. */
export type OauthClient = {
  tokenUrl: string
  clientId: string
  clientSecret: string
  scope?: string | undefined
}

/** `retriable` is what kafkajs reads: whether it tries again. */
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly retriable: boolean
  constructor(message: string, retriable: boolean, options?: ErrorOptions) {
    super(message, options)
    this.retriable = retriable
  }
}

const answerSchema = z.object({
  // What may stand in a header, and so in the first message of OAUTHBEARER (RFC 7628).
  access_token: z.string().regex(/^[\x21-\x7e]{1,65536}$/),
  expires_in: z.coerce.number().positive().optional(),
})
const refusalSchema = z.object({ error: z.string(), error_description: z.string().optional() })

const requestTimeoutMs = 5_000
/** RFC 6749 lets an issuer keep the lifetime to itself. */
const unknownLifetimeMs = 60_000
/** kafkajs logs in again ten seconds before a token expires, and needs a newer one then. */
const marginMs = 15_000
const tries = 3
const firstBackoffMs = 200

type Token = { value: string; freshUntil: number; expiresAt: number }

/**
 * Tokens by the client-credentials grant (RFC 6749, 4.4). One token serves all brokers until a fifth of its life is left; while the
 * issuer is away, until it expires. Who asks at the same time gets the same answer.
 * The function throws a TokenError: retriable, unless the issuer refuses us.
 */
export function createTokenSource(client: OauthClient, now: () => number = Date.now): () => Promise<{ value: string }> {
  let token: Token | undefined
  let asking: Promise<Token> | undefined

  const ask = async (): Promise<Token> => {
    try {
      return (token = await askPatiently(client, now))
    } catch (error) {
      if (token && token.expiresAt > now() && error instanceof TokenError && error.retriable) return token
      throw error
    } finally {
      asking = undefined
    }
  }

  return () => (token && token.freshUntil > now() ? Promise.resolve(token) : (asking ??= ask()))
}

async function askPatiently(client: OauthClient, now: () => number): Promise<Token> {
  for (let tried = 1; ; tried++) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      return await askOnce(client, now)
    } catch (error) {
      if (!(error instanceof TokenError) || !error.retriable || tried === tries) throw error
    }
    // oxlint-disable-next-line no-await-in-loop -- a pause between two tries
    await delay(firstBackoffMs * 2 ** tried)
  }
}

async function askOnce(client: OauthClient, now: () => number): Promise<Token> {
  const askedAt = now()
  const response = await post(client)
  const { status } = response
  const text = await response.text().catch(() => '')
  if (!response.ok) throw refusal(client.tokenUrl, status, text)
  const answer = answerSchema.safeParse(json(text))
  if (!answer.success) throw new TokenError(`${client.tokenUrl} answers without a usable access_token`, false)
  const { access_token: value, expires_in: seconds } = answer.data
  const lifetimeMs = seconds === undefined ? unknownLifetimeMs : seconds * 1_000
  return {
    value,
    freshUntil: askedAt + Math.min(lifetimeMs * 0.8, lifetimeMs - marginMs),
    expiresAt: askedAt + lifetimeMs,
  }
}

/** The secret goes nowhere but to the address that was configured: a redirection is an error. */
async function post({ tokenUrl, clientId, clientSecret, scope }: OauthClient): Promise<Response> {
  const credentials = [clientId, clientSecret]
    .map((part) => new URLSearchParams([['', part]]).toString().slice(1))
    .join(':')
  try {
    return await fetch(tokenUrl, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}`, accept: 'application/json' },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope !== undefined && { scope }) }),
      redirect: 'error',
      signal: AbortSignal.timeout(requestTimeoutMs),
    })
  } catch (cause) {
    throw new TokenError(`the issuer of tokens at ${tokenUrl} does not answer`, true, { cause })
  }
}

function refusal(tokenUrl: string, status: number, text: string): TokenError {
  const said = refusalSchema.safeParse(json(text))
  const why = said.success ? `: ${said.data.error} ${said.data.error_description ?? ''}`.trimEnd() : ''
  const isPassing = status >= 500 || status === 429 || status === 408
  return new TokenError(`the issuer of tokens at ${tokenUrl} answers ${status}${why}`, isPassing)
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
