import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import type { CatalogueAnomaly } from '@flasktoria/contracts/catalogue'
import type { IndexObject } from '@flasktoria/contracts/rest'
import type { CostPeriod, SpeedUse } from '@flasktoria/warehouse/queries'
import type { Series } from './series.ts'

const hourMs = 3_600_000
const spans = {
  day: { ms: 24 * hourMs, words: 'the last 24 hours' },
  week: { ms: 7 * 24 * hourMs, words: 'the last 7 days' },
  month: { ms: 30 * 24 * hourMs, words: 'the last 30 days' },
} as const satisfies Record<CostPeriod, { ms: number; words: string }>

const each = <T>(make: (period: CostPeriod) => T): Record<CostPeriod, T> => ({
  day: make('day'),
  week: make('week'),
  month: make('month'),
})

/** When the periods that end now begin. */
export const periodStarts = (now: number): Record<CostPeriod, number> => each((period) => now - spans[period].ms)

/** km/h. A GPS receiver in a vehicle that stands still reports less. */
export const movingAboveKmh = 1

const inWords = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 1 })

/**
 * What the anomalies of a vehicle cost: the sum of `cost_impact` of each one that the catalogue knows, by its timestamp, in
 * the last 24 hours, 7 days and 30 days; `why` counts them by kind, the costliest first.
 */
export function costIndex(
  anomalies: readonly AnomalyFacts[],
  catalogue: ReadonlyMap<number, CatalogueAnomaly>,
  now: number,
): IndexObject {
  const starts = periodStarts(now)
  return each((period) => {
    const inPeriod = anomalies.filter(({ timestamp }) => timestamp >= starts[period] && timestamp <= now)
    const kinds = [...Map.groupBy(inPeriod, ({ anomalyId }) => catalogue.get(anomalyId))]
      .flatMap(([known, { length: count }]) => (known ? { ...known, count, cost: count * known.costImpact } : []))
      .toSorted((a, b) => b.cost - a.cost || a.id - b.id)
    if (kinds.length === 0) return { value: 0, why: `No anomaly in ${spans[period].words}.` }
    const parts = kinds.map(({ count, description, cost }) => `${count} × ${description} (${inWords(cost)})`)
    return {
      value: kinds.reduce((sum, { cost }) => sum + cost, 0),
      why: `Anomalies in ${spans[period].words}: ${parts.join(', ')}.`,
    }
  })
}

/**
 * How much of its time a vehicle is used: the share, in percent to two decimals, of its speed readings (pid_13_mode_1) above
 * 1 km/h among all of them, in the last 24 hours, 7 days and 30 days; `why` names the number of readings and their mean
 * speed. 0 when there is no reading, and `why` says so.
 *
 * `older` sums up what lies before `recent`; undefined: nothing does.
 */
export function efficiencyIndex(older: SpeedUse | undefined, recent: Series, now: number): IndexObject {
  const starts = periodStarts(now)
  return each((period) => {
    let { readings, moving, mean } = older?.[period] ?? { readings: 0, moving: 0, mean: 0 }
    let speedSum = mean * readings
    for (const [index, timestamp] of recent.timestamps.entries()) {
      if (timestamp < starts[period] || timestamp > now) continue
      const speed = recent.values[index]!
      readings++
      speedSum += speed
      if (speed > movingAboveKmh) moving++
    }
    const { words } = spans[period]
    if (readings === 0) return { value: 0, why: `No speed reading in ${words}.` }
    const share = (100 * moving) / readings
    const speeds = `${inWords(readings)} speed readings of ${words}; mean speed ${inWords(speedSum / readings)} km/h`
    return { value: Math.round(share * 100) / 100, why: `Moving in ${inWords(share)} % of ${speeds}.` }
  })
}
