import type { FeedReport, Feeds } from '@flasktoria/live-log/feed'

const readEveryMs = 1_000
/** Until then the partitions of an instance that died are somebody's again, who says how far they are. */
const takeOverMs = 60_000
/** An engine may look at its files that much later, and clocks differ. */
const slackMs = 10_000

/**
 * How far the history is complete: what reached the system before that time can be asked for. Told by the history writers;
 * where others fill the tables, by the longest time that this takes them.
 */
export class Watermark {
  readonly #now: () => number
  readonly #delayMs: number | undefined
  readonly #writers = new Map<string, { completeTo: number; reportedAt: number }>()
  #last = -Infinity

  constructor(now: () => number, { delayMs }: { delayMs?: number | undefined } = {}) {
    this.#now = now
    this.#delayMs = delayMs
  }

  /** Epoch milliseconds; -Infinity: nobody knows. */
  completeTo(): number {
    return this.#delayMs === undefined ? this.#last - slackMs : this.#now() - this.#delayMs
  }

  hear(reports: readonly FeedReport[]): void {
    for (const { instance, reportedAt, warehouseLagMs } of reports)
      if (warehouseLagMs === null) this.#writers.delete(instance)
      else this.#writers.set(instance, { completeTo: reportedAt - warehouseLagMs, reportedAt })
    for (const [instance, { reportedAt }] of this.#writers)
      if (this.#writers.size > 1 && reportedAt < this.#now() - takeOverMs) this.#writers.delete(instance)
    if (this.#writers.size > 0) this.#last = Math.min(...this.#writers.values().map(({ completeTo }) => completeTo))
  }
}

/** Tells the watermark again and again what the history writers say. What can't be read now is read later. */
export function followFeeds(feeds: Pick<Feeds, 'read'>, watermark: Watermark): Disposable {
  let isReading = false
  const read = () => {
    if (isReading) return
    isReading = true
    feeds
      .read()
      .then((reports) => watermark.hear(reports))
      .catch(() => undefined)
      .finally(() => {
        isReading = false
      })
  }
  read()
  const timer = setInterval(read, readEveryMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
