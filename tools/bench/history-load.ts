export const partitions = 2
/** Of each partition a million that get merged, and some more, behind which that is allowed. */
const mergedOffsets = 2 ** 20
export const historyRecords = partitions * (mergedOffsets + 200_000)
/** Too few for a merge. */
export const fewHistoryRecords = partitions * 50_000
/** Where a merge may begin. */
export const firstOffset = 2 * mergedOffsets
