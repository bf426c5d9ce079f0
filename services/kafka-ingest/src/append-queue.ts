import type { Draft } from '@flasktoria/live-log/log'
import { setTimeout as delay } from 'node:timers/promises'

/** A batch that is so large does not wait for others. */
const enough = 500

type Waiting = { drafts: readonly Draft[]; resolve: () => void; reject: (error: unknown) => void }

/**
 * Puts what comes from several partitions at about the same time into one append: every append costs the log, and each of its
 * readers, far more than an update in it. The first one after a quiet time is appended at once, the next ones together after
 * `lingerMs`. Appends never overlap, so batches that come one after the other stay in order.
 */
export class AppendQueue {
  readonly #append: (drafts: readonly Draft[]) => Promise<void>
  readonly #lingerMs: number
  #waiting: Waiting[] = []
  #isRunning = false
  #appendedAtMs = -Infinity

  constructor(append: (drafts: readonly Draft[]) => Promise<void>, lingerMs: number) {
    this.#append = append
    this.#lingerMs = lingerMs
  }

  /** Resolves when the log took them. Rejects as the append did that they were in: with all others in it. */
  append(drafts: readonly Draft[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ drafts, resolve, reject })
      if (!this.#isRunning) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      const waitMs = this.#appendedAtMs + this.#lingerMs - performance.now()
      if (waitMs > 0 && this.#size < enough) await delay(waitMs)
      this.#appendedAtMs = performance.now()
      const batches = this.#waiting
      this.#waiting = []
      try {
        await this.#append(batches.length === 1 ? batches[0]!.drafts : batches.flatMap(({ drafts }) => [...drafts]))
        for (const { resolve } of batches) resolve()
      } catch (error) {
        for (const { reject } of batches) reject(error)
      }
    }
    this.#isRunning = false
  }

  get #size(): number {
    return this.#waiting.reduce((sum, { drafts }) => sum + drafts.length, 0)
  }
}
