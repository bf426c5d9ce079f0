import type { FeedReport, Feeds } from '@flasktoria/live-log/feed'

const intervalMs = 1_000

/** Reads again and again what the ingest instances say of themselves. What can't be read stays as it was; the log tells of it. */
export function watchFeeds(feeds: Feeds, listener: (reports: readonly FeedReport[]) => void): Disposable {
  let isReading = false
  const timer = setInterval(() => {
    if (isReading) return
    isReading = true
    feeds
      .read()
      .then(listener, () => undefined)
      .finally(() => {
        isReading = false
      })
  }, intervalMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
