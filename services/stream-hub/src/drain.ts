import { closeCodes } from '@flasktoria/contracts/close-codes'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Hub } from './hub.ts'

const steps = 20
/** So few come back at once without harm. */
const leastAtOnce = 50

/**
 * Sends every client away, spread over `overMs`, so that the other hubs get them one after the other. A v2 client is told
 * when to come back, a plain one sees the close code that browsers use for a server that goes away.
 */
export async function drain(hub: Hub, overMs: number, random: () => number): Promise<void> {
  const sessions = [...hub.sessions]
  const returnWithinMs = Math.min(overMs, sessions.length)
  const atOnce = Math.max(leastAtOnce, Math.ceil(sessions.length / steps))
  for (let next = 0; next < sessions.length; next += atOnce) {
    if (next > 0) await sleep(overMs / steps)
    for (const session of sessions.slice(next, next + atOnce)) {
      if (session.protocol === 'v2')
        hub.say(session, { type: 'bye', reconnectAfterMs: Math.round(random() * returnWithinMs) })
      hub.closeWith(session, session.protocol === 'v2' ? closeCodes.draining : 1001, 'draining')
    }
  }
}
