import type { Metrics } from '@flasktoria/service-kit/metrics'

/** What one member of a group says of itself when it is asked. */
export type MemberFigures = {
  group: string
  lag: Iterable<{ topic: string; partition: number; lagRecords: number }>
  /** Since when no broker answered a fetch; undefined: none was asked yet. */
  fetchAgeMs: number | undefined
}

export function createKafkaMetrics(metrics: Metrics) {
  const members = new Set<() => MemberFigures>()
  metrics.gauge(
    'kafka_lag_records',
    'Records of a partition that wait for this instance, also while nothing comes.',
    ['group', 'topic', 'partition'],
    function collect() {
      // A partition that moved is another's to count.
      this.reset()
      for (const figures of members) {
        const { group, lag } = figures()
        for (const { topic, partition, lagRecords } of lag) this.set({ group, topic, partition }, lagRecords)
      }
    },
  )
  metrics.gauge(
    'kafka_fetch_age_seconds',
    'Time since a broker last answered a fetch; it grows while batches are held.',
    ['group'],
    function collect() {
      this.reset()
      for (const figures of members) {
        const { group, fetchAgeMs } = figures()
        if (fetchAgeMs !== undefined) this.set({ group }, fetchAgeMs / 1_000)
      }
    },
  )
  return {
    rebalances: metrics.counter('kafka_rebalances_total', 'Times that the group shared its partitions anew.', [
      'group',
    ]),
    pauses: metrics.counter('kafka_pauses_total', 'Batches that were held for longer than a heartbeat.', ['group']),
    lost: metrics.counter(
      'kafka_lost_records_total',
      'Records that the retention of their topic deleted before they were read.',
      ['group', 'topic'],
    ),
    skipped: metrics.counter(
      'kafka_skipped_records_total',
      'Sensor records that had waited for too long at the start, and were left to the history.',
      ['group'],
    ),
    /** Asks a member for its figures from now on, until the result is called. */
    follow(figures: () => MemberFigures): () => void {
      members.add(figures)
      return () => void members.delete(figures)
    },
  }
}
export type KafkaMetrics = ReturnType<typeof createKafkaMetrics>
