import type { Metrics } from '@flasktoria/service-kit/metrics'

const flushBucketsSeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export const createHistoryMetrics = (metrics: Metrics) => ({
  rows: metrics.counter('history_rows_written_total', 'Rows that were put on the disk.', ['table']),
  files: metrics.counter('history_files_written_total', 'Files that were put on the disk.', ['table']),
  skipped: metrics.counter(
    'history_rows_skipped_total',
    'Rows that were on the disk already, so that they were not written again.',
  ),
  dropped: metrics.counter(
    'history_records_dropped_total',
    'Records that were left out because the disk failed for long and the live path must not wait.',
  ),
  refused: metrics.counter('history_records_refused_total', 'Records that could not be used.', ['topic', 'reason']),
  merges: metrics.counter('history_merges_total', 'Times that many small files became one.'),
  daysRemoved: metrics.counter('history_days_removed_total', 'Days that were older than they are kept.', ['table']),
  failures: metrics.counter('history_failures_total', 'Failures, each to be tried again.', ['step', 'reason']),
  flushSeconds: metrics.histogram(
    'history_flush_duration_seconds',
    'Time to put what was read on the disk.',
    flushBucketsSeconds,
  ),
  pendingRows: metrics.gauge('history_pending_rows', 'Rows that were read and are not on the disk yet.'),
  lag: metrics.gauge('history_lag_records', 'Records that wait in the source of the history.'),
})
export type HistoryMetrics = ReturnType<typeof createHistoryMetrics>

const knownCodes = new Set(['ENOSPC', 'EACCES', 'EPERM', 'EROFS', 'EIO', 'EMFILE', 'ENOENT', 'EDQUOT'])

/** A bounded word for a failure. */
export function failureReason(error: unknown): string {
  if (!(error instanceof Error)) return 'other'
  if ('code' in error && typeof error.code === 'string' && knownCodes.has(error.code)) return error.code
  if ('kind' in error && typeof error.kind === 'string') return error.kind
  return /No space left/i.test(error.message) ? 'ENOSPC' : 'other'
}
