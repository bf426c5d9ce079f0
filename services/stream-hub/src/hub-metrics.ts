import { closeCodes } from '@flasktoria/contracts/close-codes'
import type { Metrics } from '@flasktoria/service-kit/metrics'

const knownCodes = new Set<number>([1000, 1001, 1005, 1006, 1009, ...Object.values(closeCodes)])
/** A client may close with any number; not each becomes a time series. */
export const closeLabel = (code: number): string => (knownCodes.has(code) ? String(code) : 'other')

const secondsBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** What the hub counts. */
export const createHubMetrics = ({ counter, histogram }: Metrics) => ({
  frames: counter('stream_frames_total', 'Frames with updates that were handed to a connection.', ['protocol']),
  bytes: counter('stream_sent_bytes_total', 'Bytes of frames with updates, before WebSocket framing.', ['protocol']),
  /** `flushed`: in the shared frame of a group; `caught_up`: to a session that was behind; `snapshot`; `unmuted`. */
  updates: counter('stream_updates_total', 'Updates delivered, over all sessions.', ['how']),
  conflated: counter('stream_conflated_total', 'Older updates that newer ones stood for, over all sessions.'),
  late: counter(
    'stream_late_total',
    'Readings that came when the state was newer: who wants each gets them, nobody else.',
  ),
  fellBehind: counter(
    'stream_fell_behind_total',
    'Sessions that left their group: a frame was not sent at once, or took too long to arrive.',
  ),
  closes: counter('stream_closes_total', 'Connections that ended, by WebSocket close code.', ['code']),
  refusals: counter('stream_refused_upgrades_total', 'Upgrades that were refused.', ['reason']),
  errors: counter('stream_errors_total', 'Messages of clients that were refused, by error code.', ['code']),
  gaps: counter('stream_gaps_total', 'Anomalies may have been missed; a plain client is not told.', ['protocol']),
  logSnapshots: counter('stream_log_snapshots_total', 'Snapshots that the live log gave, by reason.', ['reason']),
  forgottenKeys: counter('stream_forgotten_keys_total', 'State keys that were forgotten: too old or too many.'),
  muteFailures: counter('stream_mute_failures_total', 'Reads of the mutes of a client that failed.'),
  flushSeconds: histogram('stream_flush_seconds', 'Time of one flush to all groups.', secondsBuckets),
  recordToFrameSeconds: histogram(
    'stream_record_to_frame_seconds',
    'Age of the first update of each flush, by the time of its record, when it was sent. Clocks of producers count.',
    [...secondsBuckets, 5, 10, 60],
  ),
  logToFrameSeconds: histogram(
    'stream_log_to_frame_seconds',
    'From the append of the first update of each flush to the live log until it was sent.',
    [...secondsBuckets, 5, 10, 60],
  ),
  roundTripSeconds: histogram(
    'stream_round_trip_seconds',
    'From a ping to its pong, behind everything that waits for the client on the way.',
    [...secondsBuckets, 5, 10, 30],
  ),
})
export type HubMetrics = ReturnType<typeof createHubMetrics>

export type HubFigures = {
  sessions: Record<'plain' | 'v2', number>
  subscriptions: number
  lanes: number
  groups: number
  lagging: number
  slowed: number
  isLogConnected: boolean
  logSilenceSeconds: number
  stateKeys: number
}

/** Gauges that are read when somebody asks. */
export function registerHubFigures({ gauge }: Metrics, read: () => HubFigures): void {
  gauge('stream_sessions', 'Open connections.', ['protocol'], function () {
    const { plain, v2 } = read().sessions
    this.set({ protocol: 'plain' }, plain)
    this.set({ protocol: 'v2' }, v2)
  })
  const single = (name: string, help: string, value: (figures: HubFigures) => number) =>
    gauge(name, help, [], function () {
      this.set(value(read()))
    })
  single('stream_subscriptions', 'Subscriptions over all sessions.', ({ subscriptions }) => subscriptions)
  single('stream_groups', 'Groups of sessions that get the same frames.', ({ groups }) => groups)
  single('stream_lanes', 'Sets of groups that are flushed together.', ({ lanes }) => lanes)
  single('stream_lagging_sessions', 'Sessions whose connection takes no bytes, or too long.', ({ lagging }) => lagging)
  single('stream_slowed_sessions', 'Sessions that get frames more seldom, because they were slow.', (it) => it.slowed)
  single('stream_log_connected', '1: the live log is followed.', ({ isLogConnected }) => Number(isLogConnected))
  single('stream_log_silence_seconds', 'Since the last entry of the live log.', (figures) => figures.logSilenceSeconds)
  single('stream_state_keys', 'MERGE keys in memory.', ({ stateKeys }) => stateKeys)
}
