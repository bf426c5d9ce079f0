import type { Metrics } from '@flasktoria/service-kit/metrics'

const appendBucketsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

export const createIngestMetrics = (metrics: Metrics) => ({
  records: metrics.counter('records_total', 'Records that arrived.', ['topic']),
  rejected: metrics.counter('records_rejected_total', 'Records that could not be used.', ['topic', 'reason']),
  deadLetters: metrics.counter('dead_letters_total', 'Records that were put into the dead letter.'),
  deadLettersLost: metrics.counter('dead_letters_lost_total', 'Dead letters that could not be kept.'),
  appended: metrics.counter('log_entries_appended_total', 'Entries that the live log took.'),
  late: metrics.counter('log_entries_late_total', 'Entries that were older than what the live log knew already.'),
  conflated: metrics.counter(
    'records_conflated_total',
    'Positions and words that newer ones of the same append stood for.',
  ),
  duplicates: metrics.counter('log_duplicates_total', 'Anomalies that the live log had already.'),
  appendSeconds: metrics.histogram(
    'log_append_duration_seconds',
    'Time that one append to the live log took.',
    appendBucketsSeconds,
  ),
  outages: metrics.counter('log_outages_total', 'Times that the live log could not be reached.'),
})
export type IngestMetrics = ReturnType<typeof createIngestMetrics>
