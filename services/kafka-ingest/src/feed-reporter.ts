import type { Feed, Feeds } from '@flasktoria/live-log/feed'
import type { Logger } from '@flasktoria/service-kit/logger'

const reportMs = 2_000

type Parts = {
  feeds: Pick<Feeds, 'report'>
  /** What to report now. */
  measure: () => Omit<Feed, 'instance'>
  logger: Logger
}

/** Tells the hubs every two seconds how fresh the data of this instance is; when it ends, that nothing waits for it any more. */
export function startFeedReporter(instance: string, { feeds, measure, logger }: Parts): AsyncDisposable {
  let reporting: Promise<void> | undefined
  const report = async (feed: Omit<Feed, 'instance'>) => {
    try {
      await feeds.report({ instance, ...feed })
    } catch (error) {
      logger.debug({ err: error }, 'nobody heard how fresh the data is')
    }
    reporting = undefined
  }
  const reportNow = () => {
    reporting ??= report(measure())
  }
  reportNow()
  const timer = setInterval(reportNow, reportMs)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await reporting
      await report({ kafkaLagRecords: null, kafkaLagMs: null, newestEventTs: null, warehouseLagMs: null })
    },
  }
}
