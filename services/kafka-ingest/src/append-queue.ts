import type { Draft } from '@flasktoria/live-log/log'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'

/** Who brings so many may bring the next ones at once. */
const enough = 500

type Waiting = { drafts: readonly Draft[]; resolve: () => void; reject: (error: unknown) => void }

/**
 * Makes few appends of many: each costs the log, and every reader of it, far more than an update in it. What comes from
 * several partitions at once is appended together; and who brings only a little is held for up to `intervalMs` after it was
 * appended, so that more comes next time. Nothing that has come waits for it. Appends never overlap, so batches that come one
 * after the other stay in order.
 */
export class AppendQueue {
  readonly #append: (drafts: readonly Draft[]) => Promise<void>
  readonly #intervalMs: number
  #waiting: Waiting[] = []
  #isRunning = false

  constructor(append: (drafts: readonly Draft[]) => Promise<void>, intervalMs: number) {
    this.#append = append
    this.#intervalMs = intervalMs
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
      // The partitions of one fetch are handed over one after the other.
      await setImmediate()
      const startedAtMs = performance.now()
      const batches = this.#waiting
      this.#waiting = []
      const drafts = batches.flatMap((batch) => batch.drafts)
      try {
        await this.#append(drafts)
        const restMs = drafts.length < enough ? startedAtMs + this.#intervalMs - performance.now() : 0
        void release(batches, restMs)
      } catch (error) {
        for (const { reject } of batches) reject(error)
      }
    }
    this.#isRunning = false
  }
}

async function release(batches: readonly Waiting[], afterMs: number): Promise<void> {
  if (afterMs > 0) await delay(afterMs)
  for (const { resolve } of batches) resolve()
}
