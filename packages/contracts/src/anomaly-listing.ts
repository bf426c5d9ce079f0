import type { CatalogueAnomaly } from './catalogue.ts'
import type { AnomalyListing } from './updates.ts'

export type AnomalyFacts = {
  vehicle: string
  anomalyId: number
  timestamp: number
  detectionTime: string
  confirmationTime: string
  /** What the detector said of this one; used where the catalogue does not know the anomaly. */
  rootCause?: string
  recommendation?: string
}

/** The anomaly as the operator reads it, the same on the socket and in the history. */
export function listAnomaly(facts: AnomalyFacts, known: CatalogueAnomaly | undefined): AnomalyListing {
  return {
    desc: known?.description ?? `Anomaly ${facts.anomalyId}`,
    cost_impact: String(known?.costImpact ?? 0),
    vehicle_id: facts.vehicle,
    declared_timestamp: facts.confirmationTime,
    detection_timestamp: facts.detectionTime,
    cause: known?.cause ?? facts.rootCause ?? '',
    actions: known?.actions.join('/') ?? facts.recommendation ?? '',
    downtime: String(known?.downtimeMinutes ?? 0),
    anomaly_id: facts.anomalyId,
    timestamp: facts.timestamp,
  }
}
