import { listAnomaly, type AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import {
  severityOf,
  type AnomalyCatalogue,
  type CatalogueAnomaly,
  type Severity,
} from '@flasktoria/contracts/catalogue'
import { vehicleIdSchema } from '@flasktoria/contracts/identifiers'
import { defaultAnomalyRows, type AnomalyRow, type CountedBy } from '@flasktoria/contracts/rest-v1-anomalies'
import type { ColumnType } from '@flasktoria/warehouse/history-layout'
import type { AnomaliesQuestion, AnomalyFilter, AnomalyKey } from '@flasktoria/warehouse/queries-anomalies'
import { groupOf } from '@flasktoria/warehouse/queries-anomalies'
import { z } from 'zod'
import { batchOf } from './column-rows.ts'
import { anomalyPages, recentAnomalies } from './anomaly-pages.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { formatKeyset, parseKeyset } from './keyset-cursor.ts'
import { negotiate } from './negotiation.ts'
import type { Handlers } from './operation-routes.ts'
import { periodOf } from './period.ts'
import { compareBytes } from './reading-merge.ts'
import { answerRows, type Rows } from './rows-answer.ts'

const keySchema = z
  .tuple([z.int().nonnegative(), vehicleIdSchema, z.int32(), z.string()])
  .transform(([timestamp, vehicle, anomalyId, detectionTime]) => ({ timestamp, vehicle, anomalyId, detectionTime }))

const cursorOf = ({ timestamp, vehicle, anomalyId, detectionTime }: AnomalyKey) =>
  formatKeyset([timestamp, vehicle, anomalyId, detectionTime])

export function createAnomalyHandlers(
  { window, watermark, history, catalogues, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'listAnomalies' | 'countAnomalies'> {
  const catalogue = new Map(catalogues.anomalies.map((anomaly) => [anomaly.id, anomaly]))
  const seam = { window, watermark }

  async function* listRows(question: AnomaliesQuestion, signal: AbortSignal): Rows {
    const { recent, coverage } = recentAnomalies(seam, question)
    let next: string | null = null
    for await (const { anomalies, hasMore } of anomalyPages({ history }, question, recent, signal)) {
      yield batchOf(
        listColumns,
        anomalies.map((facts) => rowOf(facts, catalogue.get(facts.anomalyId))),
      )
      next = hasMore ? cursorOf(anomalies.at(-1)!) : null
    }
    return { truncated: next !== null, next, coverage }
  }

  async function* countRows(filter: AnomalyFilter, by: CountedBy, limit: number, signal: AbortSignal): Rows {
    const { recent, coverage } = recentAnomalies(seam, filter)
    const counts = new Counts(by, catalogue)
    // What both may know has to be looked at one by one: the engine counts what is older than anything in the window.
    const listedFrom = recent.at(-1)?.timestamp ?? filter.to + 1
    const grouping = by === 'severity' ? 'type' : by
    const older = { ...filter, to: listedFrom - 1, by: grouping }
    for (const { key, count } of (await history?.anomalyCounts(older, signal)) ?? []) counts.add(key, count)
    const listed = { ...filter, from: listedFrom, limit: Infinity }
    if (listedFrom <= filter.to)
      for await (const { anomalies } of anomalyPages({ history }, listed, recent, signal))
        for (const anomaly of anomalies) counts.add(groupOf(grouping, anomaly), 1)
    const rows = counts.inOrder()
    yield batchOf(countColumns(by), rows.slice(0, limit))
    return { truncated: rows.length > limit, next: null, coverage }
  }

  return {
    listAnomalies: ({ parameters }, c) => {
      const { vehicle, order, cursor, limit = defaultAnomalyRows, format } = parameters
      const period = periodOf(parameters, now())
      const question = {
        ...period,
        vehicle,
        types: typesOf(parameters, catalogues.anomalies),
        isReversed: order === 'asc',
        limit,
      }
      const asked = { ...question, after: parseKeyset(cursor, keySchema) }
      return answerRows(c, {
        format: negotiate(c, format),
        columns: listColumns,
        head: period,
        rows: gate.stream(c.get('signal'), (signal) => listRows(asked, signal)),
      })
    },

    countAnomalies: ({ parameters }, c) => {
      const { vehicle, by, limit = defaultAnomalyRows, format } = parameters
      const period = periodOf(parameters, now())
      const filter = { ...period, vehicle, types: typesOf(parameters, catalogues.anomalies) }
      return answerRows(c, {
        format: negotiate(c, format),
        columns: countColumns(by),
        head: { ...period, by },
        rows: gate.stream(c.get('signal'), (signal) => countRows(filter, by, limit, signal)),
      })
    },
  }
}

type Wish = { type?: readonly number[] | undefined; severity?: readonly Severity[] | undefined }

/** The types that both parameters let through; undefined: all. */
function typesOf({ type, severity }: Wish, catalogue: AnomalyCatalogue): number[] | undefined {
  if (!severity) return type && [...type]
  const severe = catalogue.filter((anomaly) => severity.includes(severityOf(anomaly))).map(({ id }) => id)
  return type ? severe.filter((id) => type.includes(id)) : severe
}

const listColumns = {
  vehicle: 'text',
  timestamp: 'bigint',
  type: 'integer',
  severity: 'text',
  description: 'text',
  cause: 'text',
  actions: 'text',
  costImpact: 'double',
  downtimeMinutes: 'double',
  detectionTime: 'text',
  confirmationTime: 'text',
} as const satisfies Record<keyof AnomalyRow, ColumnType>
const keyTypes = { type: 'integer', vehicle: 'text', severity: 'text', hour: 'bigint', day: 'bigint' } as const
const countColumns = (by: CountedBy) => ({ key: keyTypes[by], count: 'bigint' }) as const
type CountRow = { key: string | number | null; count: number }

function rowOf(facts: AnomalyFacts, known: CatalogueAnomaly | undefined): AnomalyRow {
  const { vehicle, timestamp, anomalyId, detectionTime, confirmationTime } = facts
  const { desc: description, cause, actions } = listAnomaly(facts, known)
  return {
    vehicle,
    timestamp,
    type: anomalyId,
    severity: known ? severityOf(known) : null,
    description,
    cause,
    actions,
    costImpact: known?.costImpact ?? 0,
    downtimeMinutes: known?.downtimeMinutes ?? 0,
    detectionTime,
    confirmationTime,
  }
}

/** Sums by group; of severities they are made of those of types. */
class Counts {
  readonly #by: CountedBy
  readonly #catalogue: ReadonlyMap<number, CatalogueAnomaly>
  readonly #counts = new Map<CountRow['key'], number>()

  constructor(by: CountedBy, catalogue: ReadonlyMap<number, CatalogueAnomaly>) {
    this.#by = by
    this.#catalogue = catalogue
  }

  add(group: string | number, count: number): void {
    const known = this.#by === 'severity' ? this.#catalogue.get(Number(group)) : undefined
    const key = this.#by === 'severity' ? (known ? severityOf(known) : null) : group
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count)
  }

  inOrder(): CountRow[] {
    const rows = [...this.#counts].map(([key, count]) => ({ key, count }))
    const isOfTime = this.#by === 'hour' || this.#by === 'day'
    return rows.toSorted((a, b) => (isOfTime ? 0 : b.count - a.count) || compareGroups(a.key, b.key))
  }
}

const compareGroups = (a: CountRow['key'], b: CountRow['key']): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : compareBytes(String(a), String(b))
