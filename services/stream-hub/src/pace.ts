export type PaceBounds = { minMs: number; maxMs: number }

/** A flush may take at most this share of the time. */
const flushShare = 0.6

/** How far apart flushes stand: few clients get milliseconds, many get throughput. */
export const flushIntervalMs = (flushCostMs: number, { minMs, maxMs }: PaceBounds): number =>
  Math.min(maxMs, Math.max(minMs, flushCostMs / flushShare))
