import { listAnomaly, type AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import type { CatalogueAnomaly } from '@flasktoria/contracts/catalogue'
import type { AnomalyListing } from '@flasktoria/contracts/updates'

/** The same anomaly, wherever it was read. */
export const keyOfAnomaly = ({ vehicle, anomalyId, timestamp, detectionTime }: AnomalyFacts): string =>
  JSON.stringify([vehicle, anomalyId, timestamp, detectionTime])

/** Each anomaly once; where both know it, the first one's text counts. */
export const mergeAnomalies = (first: readonly AnomalyFacts[], second: readonly AnomalyFacts[]): AnomalyFacts[] => [
  ...new Map([...second, ...first].map((facts) => [keyOfAnomaly(facts), facts])).values(),
]

/** Newest first, the unknown ones left out; the order of equal times is the same in every answer. */
export function listAnomalies(
  anomalies: readonly AnomalyFacts[],
  catalogue: ReadonlyMap<number, CatalogueAnomaly>,
): AnomalyListing[] {
  return anomalies
    .filter(({ anomalyId }) => catalogue.has(anomalyId))
    .toSorted(
      (a, b) =>
        b.timestamp - a.timestamp ||
        compareText(a.vehicle, b.vehicle) ||
        a.anomalyId - b.anomalyId ||
        compareText(a.detectionTime, b.detectionTime),
    )
    .map((facts) => listAnomaly(facts, catalogue.get(facts.anomalyId)))
}

const compareText = (a: string, b: string): number => Number(a > b) - Number(a < b)
