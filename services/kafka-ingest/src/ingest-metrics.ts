import type { Metrics } from '@flasktoria/service-kit/metrics'

const appendBucketsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const ageBucketsSeconds = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3_600]
const sizeBuckets = [1, 10, 50, 100, 500, 1_000, 5_000, 10_000]

export const createIngestMetrics = (metrics: Metrics) => ({
  records: metrics.counter('records_total', 'Records that arrived, by what came of them: accepted or refused.', [
    'topic',
    'result',
  ]),
  rejected: metrics.counter('records_rejected_total', 'Records that could not be used.', ['topic', 'reason']),
  deadLetters: metrics.counter('dead_letters_total', 'Records that were handed to the dead letter.'),
  deadLettersLost: metrics.counter(
    'dead_letters_lost_total',
    'Dead letters that were not kept: too many at once (rate), or not taken (redis, kafka).',
    ['cause'],
  ),
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
  appendEntries: metrics.histogram('log_append_entries', 'Entries of one append to the live log.', sizeBuckets),
  batchRecords: metrics.histogram('batch_records', 'Records that the source handed over at once.', sizeBuckets),
  ageSeconds: metrics.histogram(
    'record_age_seconds',
    'Time from the event to the live log, of the first good record of each batch.',
    ageBucketsSeconds,
  ),
  outages: metrics.counter('log_outages_total', 'Times that the live log could not be reached.'),
})
export type IngestMetrics = ReturnType<typeof createIngestMetrics>
