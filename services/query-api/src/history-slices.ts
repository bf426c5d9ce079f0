import type { Bucket, PageColumns, PageQuestion, ReadingKey } from '@flasktoria/warehouse/queries-history'
import { periodBehind, type Period } from '@flasktoria/warehouse/queries'

// For engines that hold the answer of a statement as a whole: a long question is asked in slices of its period, each as long
// as the rows of the one before suggest, so that neither the engine nor we ever hold much, and no slice is read in vain.

/** The engine sorts what lies in a slice to give its first page. */
export const firstPagesMs = 3_600_000
/** What is asked most is a day of a vehicle: one statement. */
const firstBucketsMs = 86_400_000
const shortestMs = 1_000
const growth = 4

/**
 * Pages of at most `pageRows` rows, one statement each, up to `limit` rows together. `sliceMs` Infinity: each statement is about
 * all that is left of the period.
 */
export async function* pagesInSlices(
  { from, to, limit, ...question }: PageQuestion,
  { pageRows, sliceMs }: { pageRows: number; sliceMs: number },
  ask: (page: PageQuestion) => AsyncIterable<PageColumns>,
): AsyncGenerator<PageColumns> {
  const { isReversed = false } = question
  let { after } = question
  let rest: Period = after ? periodBehind(after.timestamp, { from, to }, isReversed) : { from, to }
  let span = sliceMs
  while (rest.from <= rest.to && limit > 0) {
    const slice = isReversed
      ? { from: Math.max(rest.from, rest.to - span + 1), to: rest.to }
      : { from: rest.from, to: Math.min(rest.to, rest.from + span - 1) }
    const wanted = Math.min(pageRows, limit)
    let rows = 0
    let last: ReadingKey | undefined
    for await (const columns of ask({ ...question, ...slice, after, limit: wanted })) {
      rows += columns.timestamps.length
      last = lastKey(columns)
      yield columns
    }
    limit -= rows
    if (rows < wanted || last === undefined) {
      rest = isReversed ? { from, to: slice.from - 1 } : { from: slice.to + 1, to }
      after = undefined
      if (rows < wanted / growth) span *= growth
    } else {
      const begin = isReversed ? rest.to : rest.from
      if (span !== Infinity) span = Math.max(shortestMs, Math.abs(last.timestamp - begin))
      rest = periodBehind(last.timestamp, rest, isReversed)
      after = last
    }
  }
}

/** Buckets out of about `sliceRows` readings a statement. One that lies across two slices comes in two parts. */
export async function* bucketsInSlices(
  { from, to }: Period,
  sliceRows: number,
  ask: (slice: Period) => AsyncIterable<readonly Bucket[]>,
): AsyncGenerator<readonly Bucket[]> {
  let span = firstBucketsMs
  for (let start = from; start <= to;) {
    const end = Math.min(to, start + span - 1)
    let rows = 0
    for await (const buckets of ask({ from: start, to: end })) {
      rows = buckets.reduce((sum, { count }) => sum + count, rows)
      yield buckets
    }
    start = end + 1
    span = Math.max(shortestMs, Math.floor(Math.min(span * growth, (span * sliceRows) / Math.max(1, rows))))
  }
}

export function lastKey({ timestamps, sensors }: Omit<PageColumns, 'values'>): ReadingKey | undefined {
  const timestamp = timestamps.at(-1)
  return timestamp === undefined ? undefined : { timestamp, sensor: sensors.at(-1)! }
}
