export type PaceBounds = { minMs: number; maxMs: number }

/** For next to nothing, flushes stand as close as they may. */
const freeMs = 1
/** Few clients get milliseconds: flushes stand so close that what they cost beyond that takes this share of the time … */
const easyShare = 0.12
export const easyMs = 200
/** … and many get throughput: beyond `easyMs`, they may take this share. */
const fullShare = 0.6

/** How far apart the flushes of a lane stand, if one of every lane costs so much. */
export const flushIntervalMs = (costMs: number, { minMs, maxMs }: PaceBounds): number =>
  Math.min(maxMs, Math.max(minMs, Math.min((costMs - freeMs) / easyShare, easyMs), costMs / fullShare))
