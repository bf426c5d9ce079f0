import type { Coverage } from '@flasktoria/contracts/coverage'
import type { Period } from '@flasktoria/warehouse/queries'
import type { Fix } from '@flasktoria/warehouse/queries-positions'
import { coverageOf, type Seam } from './coverage.ts'
import type { History } from './history.ts'

export type Sources = Seam & { history: History | undefined }

/** The history covers nothing of positions where its tables have none. */
const historyOf = ({ history }: Sources) => (history?.hasPositions ? history : undefined)

export const positionCoverage = (period: Period, sources: Sources): Coverage =>
  coverageOf(period, { ...sources, watermark: historyOf(sources) && sources.watermark }, 'positions')

/** Where a vehicle was, oldest first, each position once: of the history, and what the recent window knows beyond it. */
export function vehicleFixes(sources: Sources, question: Period & { vehicle: string }, signal: AbortSignal) {
  const recent = sources.window.track(question.vehicle, question).toReversed()
  const coverage = positionCoverage(question, sources)
  const past = historyOf(sources)?.track(question, signal)
  return { coverage, fixes: past ? mergeFixes(past, recent) : recent }
}

/** Both in order of time; where both have a position of the same time, the first one's counts. */
export async function* mergeFixes(first: AsyncIterable<Fix>, second: readonly Fix[]): AsyncGenerator<Fix> {
  let next = 0
  for await (const fix of first) {
    for (; next < second.length && second[next]!.timestamp <= fix.timestamp; next++)
      if (second[next]!.timestamp < fix.timestamp) yield second[next]!
    yield fix
  }
  yield* second.slice(next)
}
