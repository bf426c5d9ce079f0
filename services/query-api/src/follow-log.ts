import type { LogListener, LogReader } from '@flasktoria/live-log/log'
import type { Logger } from '@flasktoria/service-kit/logger'
import { setTimeout as sleep } from 'node:timers/promises'

const retryMs = 1_000

/** Follows the log from now on, or as soon as it can be reached; until closed. */
export function followLog(reader: LogReader, listener: LogListener, logger: Logger): { close(): Promise<void> } {
  const closing = new AbortController()
  const following = begin()

  async function begin() {
    while (!closing.signal.aborted) {
      try {
        return await reader.follow(listener)
      } catch (error) {
        logger.warn({ err: error }, 'the live log cannot be read')
        await sleep(retryMs, undefined, { signal: closing.signal }).catch(() => undefined)
      }
    }
    return undefined
  }

  return {
    async close() {
      closing.abort()
      await (await following)?.close()
    },
  }
}
