import type { Coverage } from '@flasktoria/contracts/coverage'
import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import type { AnomaliesQuestion, AnomalyFilter, AnomalyKey } from '@flasktoria/warehouse/queries-anomalies'
import { keyOfAnomaly } from './anomalies.ts'
import { coverageOf, type Seam } from './coverage.ts'
import type { History } from './history.ts'
import { compareBytes, directed } from './reading-merge.ts'

type Sources = Seam & { history: Pick<History, 'anomalies'> | undefined }

/** How many rows the engine is asked for at once. */
const pageRows = 5_000

/** Newest first, as engines order them. */
const compareKeys = (a: AnomalyKey, b: AnomalyKey): number =>
  b.timestamp - a.timestamp ||
  compareBytes(a.vehicle, b.vehicle) ||
  a.anomalyId - b.anomalyId ||
  compareBytes(a.detectionTime, b.detectionTime)

/** The anomalies of the window that a filter lets through, in order; and what an answer covers that is made of it now. */
export function recentAnomalies(
  seam: Seam,
  { vehicle, types, isReversed, ...period }: AnomalyFilter & Pick<AnomaliesQuestion, 'isReversed'>,
): { recent: AnomalyFacts[]; coverage: Coverage } {
  const recent = seam.window
    .anomalies(period)
    .filter((one) => vehicle === undefined || one.vehicle === vehicle)
    .filter((one) => types?.includes(one.anomalyId) ?? true)
    .toSorted(directed(compareKeys, isReversed))
  return { recent, coverage: coverageOf(period, seam, 'anomalies') }
}

export type AnomalyPage = { anomalies: AnomalyFacts[]; hasMore: boolean }

/**
 * History and what the window knows beside it, page by page, in order, each anomaly once: where both know it, the history's
 * text counts. At most `limit` of them; `hasMore` of the last page says whether that cut it off.
 */
export async function* anomalyPages(
  { history }: Pick<Sources, 'history'>,
  { limit, ...question }: AnomaliesQuestion,
  recent: readonly AnomalyFacts[],
  signal: AbortSignal,
): AsyncGenerator<AnomalyPage> {
  let { after } = question
  const compare = directed(compareKeys, question.isReversed)
  /** Behind `after`, and not behind `last`. */
  const isBetween = (one: AnomalyKey, last: AnomalyKey | undefined) =>
    (after === undefined || compare(one, after) > 0) && (last === undefined || compare(one, last) <= 0)
  for (let left = limit; ;) {
    const rows = Math.min(left, pageRows)
    const stored = (await history?.anomalies({ ...question, after, limit: rows + 1 }, signal)) ?? []
    const isRest = stored.length <= rows
    const known = recent.filter((one) => isBetween(one, isRest ? undefined : stored.at(-1)))
    const merged = [...new Map([...known, ...stored.toReversed()].map((one) => [keyOfAnomaly(one), one])).values()]
    const anomalies = merged.toSorted(compare).slice(0, rows)
    left -= anomalies.length
    after = anomalies.at(-1) ?? after
    const hasMore = !isRest || merged.length > rows
    yield { anomalies, hasMore }
    if (!hasMore || left === 0) return
  }
}
