import type { LogFollower, LogListener, LogReader } from '@flasktoria/live-log/log'
import type { Logger } from '@flasktoria/service-kit/logger'
import { setTimeout as sleep } from 'node:timers/promises'

const retryMs = 1_000

/** Follows the log from now on, or as soon as it can be reached; until closed. `isFollowing` resolves when it is, or closed. */
export function followLog(
  reader: LogReader,
  listener: LogListener,
  logger: Logger,
): LogFollower & { isFollowing: Promise<void> } {
  const closing = new AbortController()
  let follower: LogFollower | undefined

  async function begin(): Promise<void> {
    while (!closing.signal.aborted && !follower) {
      try {
        follower = await reader.follow(listener)
      } catch (error) {
        logger.warn({ err: error }, 'the live log cannot be read')
        await sleep(retryMs, undefined, { signal: closing.signal }).catch(() => undefined)
      }
    }
    // It may have taken until after the end: a log that is away answers when it comes back.
    if (closing.signal.aborted) await follower?.close()
  }

  return {
    isFollowing: begin(),
    async close() {
      closing.abort()
      await follower?.close()
    },
  }
}
