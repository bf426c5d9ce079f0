import type { Context } from 'hono'
import type { RequestEnv } from './request-env.ts'

/** RFC 7240: one preference of several, which may have parameters; of two `wait` the first counts. */
const waitPattern = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i

/** How long the caller wants to wait, in seconds; undefined: it says nothing, or nothing of use. */
export function readWait(prefer: string | undefined): number | undefined {
  const seconds = Number(waitPattern.exec(prefer ?? '')?.[1] ?? 0)
  return seconds > 0 ? seconds : undefined
}

/**
 * Sets `signal`, which aborts when nobody waits for the answer any more: the client went away, or the time is over that it
 * prefers to wait, which it is told. Nobody waits for longer than `maxMs` anyway.
 */
export const limitWait =
  (maxMs: number) =>
  (c: Context<RequestEnv>): void => {
    const { signal } = c.req.raw
    const seconds = readWait(c.req.header('Prefer'))
    if (seconds === undefined) c.set('signal', signal)
    else {
      const waitMs = Math.min(seconds * 1_000, maxMs)
      c.header('Preference-Applied', `wait=${Math.ceil(waitMs / 1_000)}`)
      c.set('signal', AbortSignal.any([signal, AbortSignal.timeout(waitMs)]))
    }
  }

/** Whether the signal aborted since the time was over. */
export const isOverdue = ({ reason }: AbortSignal): boolean => reason instanceof Error && reason.name === 'TimeoutError'
