export type PaceBounds = { minMs: number; maxMs: number }

/** Few clients get milliseconds: flushes stand so close that they take this share of the time … */
const easyShare = 0.12
export const easyMs = 200
/** … and many get throughput: beyond `easyMs`, they may take this share. */
const fullShare = 0.6

/** How far apart the flushes of a lane stand, if one of every lane costs so much. */
export const flushIntervalMs = (costMs: number, { minMs, maxMs }: PaceBounds): number =>
  Math.min(maxMs, Math.max(minMs, Math.min(costMs / easyShare, easyMs), costMs / fullShare))
