import type { Context } from 'hono'
import type { RequestEnv } from './request-env.ts'

/** RFC 7240: one preference of several, which may have parameters; of two `wait` the first counts. */
const waitPattern = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i

/** How long the caller wants to wait, in seconds; undefined: it says nothing, or nothing of use. */
export function readWait(prefer: string | undefined): number | undefined {
  const seconds = Number(waitPattern.exec(prefer ?? '')?.[1] ?? 0)
  return seconds > 0 ? seconds : undefined
}

/** The time that the answer may take, in milliseconds: as the caller prefers, who is told so, but not longer than `maxMs`. */
export function deadlineOf(c: Context<RequestEnv>, maxMs: number): number {
  const seconds = readWait(c.req.header('Prefer'))
  if (seconds === undefined) return maxMs
  const deadlineMs = Math.min(seconds * 1_000, maxMs)
  c.header('Preference-Applied', `wait=${Math.ceil(deadlineMs / 1_000)}`)
  return deadlineMs
}
