import type { Logger } from '@flasktoria/service-kit/logger'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Looks whether the history tables are as the profile says: when it begins, and again as long as they are not or can't be
 * looked at. A wrong table is said, and keeps no question from being asked: what doesn't need the column is still answered.
 */
export class TableCheck {
  readonly #closing = new AbortController()
  readonly #looking: Promise<void>
  #mistakes: readonly string[] = []

  /** `look` gives a sentence for each mistake. */
  constructor(look: (signal: AbortSignal) => Promise<readonly string[]>, logger: Logger, everyMs: number) {
    this.#looking = this.#lookUntilRight(look, logger, everyMs)
  }

  /** Undefined while no mistake is known, else all of them. */
  failing(): string | undefined {
    return this.#mistakes.length > 0 ? this.#mistakes.join('; ') : undefined
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#looking
  }

  async #lookUntilRight(
    look: (signal: AbortSignal) => Promise<readonly string[]>,
    logger: Logger,
    everyMs: number,
  ): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        const mistakes = await look(signal)
        for (const mistake of mistakes) if (!this.#mistakes.includes(mistake)) logger.warn(mistake)
        this.#mistakes = mistakes
        if (mistakes.length === 0) return
      } catch (error) {
        if (!signal.aborted) logger.debug({ err: error }, 'the history tables could not be looked at')
      }
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }
}
