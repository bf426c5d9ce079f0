import type { LogFollower, LogListener, LogReader } from '@flasktoria/live-log/log'
import type { Logger } from '@flasktoria/service-kit/logger'
import { setTimeout as sleep } from 'node:timers/promises'

const retryMs = 1_000

/** Follows the log from now on, or as soon as it can be reached; until closed. */
export function followLog(reader: LogReader, listener: LogListener, logger: Logger): LogFollower {
  const closing = new AbortController()
  const watched: LogListener = {
    onSnapshot: (snapshot) => listener.onSnapshot(snapshot),
    onEntries: (entries) => listener.onEntries(entries),
    onConnected(isConnected) {
      if (isConnected) logger.info('the live log is followed')
      else logger.warn('the live log is away')
      listener.onConnected?.(isConnected)
    },
  }
  let follower: LogFollower | undefined

  async function begin(): Promise<void> {
    while (!closing.signal.aborted && !follower) {
      try {
        follower = await reader.follow(watched)
      } catch (error) {
        logger.warn({ err: error }, 'the live log cannot be read')
        await sleep(retryMs, undefined, { signal: closing.signal }).catch(() => undefined)
      }
    }
    // It may have taken until after the end: a log that is away answers when it comes back.
    if (closing.signal.aborted) await follower?.close()
  }
  void begin()

  return {
    async close() {
      closing.abort()
      await follower?.close()
    },
  }
}
