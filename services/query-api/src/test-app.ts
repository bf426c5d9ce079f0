import { defaultAnomalies, defaultSensors } from '@flasktoria/contracts/catalogue'
import { isV1, type Operation } from '@flasktoria/contracts/operation'
import {
  errorSchema,
  problemMediaType,
  problems,
  problemSchema,
  type ProblemCode,
} from '@flasktoria/contracts/problems'
import { commonProblems, operations, type OperationId } from '@flasktoria/contracts/rest'
import type { AnomalyUpdate, PositionUpdate, SensordataUpdate } from '@flasktoria/contracts/updates'
import type { Entry } from '@flasktoria/live-log/log'
import { createMemoryMutes } from '@flasktoria/live-log/mutes-memory'
import { createLogger } from '@flasktoria/service-kit/logger'
import { createMetrics } from '@flasktoria/service-kit/metrics'
import { tableProfiles } from '@flasktoria/warehouse/table-profile'
import type { Warehouse } from '@flasktoria/warehouse/warehouse'
import { expect } from 'vitest'
import type { z } from 'zod'
import { createApp, type AppDependencies } from './app.ts'
import { createHistory } from './history.ts'
import { RecentWindow } from './recent-window.ts'
import { createRequestMetrics } from './request-metrics.ts'

export const testNow = Date.UTC(2026, 10, 24, 12)
const windowMs = 600_000

type Overrides = Partial<
  Pick<
    AppDependencies,
    'watermark' | 'origins' | 'historyRate' | 'mutes' | 'now' | 'catalogues' | 'maxBodyBytes' | 'logger'
  >
> & {
  warehouse?: Warehouse
  limits?: Partial<AppDependencies['limits']>
  deadlineMs?: number
}

/** The app as `main.ts` makes it, with a clock that stands still, and a window that the test fills. */
export function createTestApp({ warehouse, deadlineMs = 5_000, ...overrides }: Overrides = {}) {
  const now = overrides.now ?? (() => testNow)
  const limits = { sensorIds: 5, rows: 1_000, historyRequests: 4, fleetPeriodMs: 86_400_000, ...overrides.limits }
  const window = new RecentWindow({ retentionMs: windowMs, maxReadings: 100_000, maxAnomalies: 1_000 }, now)
  window.onSnapshot({ epoch: 'test', head: 0, state: [], recent: [], reason: 'start' })
  const metrics = createMetrics('query-api')
  const requestMetrics = createRequestMetrics(metrics, window)
  const history =
    warehouse &&
    createHistory({
      warehouse,
      profile: tableProfiles.own,
      maxRows: limits.rows,
      deadlineMs,
      onRows: (question, rows) => requestMetrics.historyRows.inc({ question }, rows),
      now,
    })
  const app = createApp({
    window,
    windowMs,
    history,
    watermark: history && { completeTo: () => now() - 60_000 },
    mutes: createMemoryMutes(),
    catalogues: { sensors: defaultSensors, anomalies: defaultAnomalies, names: { 'car-1': 'Ada' } },
    newClientId: () => 'fresh-client-id',
    maxBodyBytes: 100_000,
    origins: '*',
    historyRate: { burst: 1_000, perSecond: 100 },
    maxWaitMs: deadlineMs,
    settledAfterMs: 86_400_000,
    metrics,
    requestMetrics,
    logger: createLogger('query-api', 'silent'),
    ...overrides,
    limits,
    now,
  })
  let seq = 0
  const hear = (...entries: Omit<Entry, 'seq' | 'appendedAt' | 'isLate'>[]) =>
    window.onEntries(entries.map((entry) => ({ ...entry, seq: ++seq, appendedAt: 0, isLate: false })))
  return { app, window, metrics, hear }
}

export const position = (
  vehicle: string,
  eventTs: number,
  lat: number,
  long: number,
): Omit<Entry, 'seq' | 'appendedAt' | 'isLate'> => ({
  kind: 'position',
  vehicle,
  sensor: '',
  eventTs,
  json: JSON.stringify({
    update_type: 'position',
    vehicle_id: vehicle,
    lat,
    long,
    timestamp: eventTs,
  } satisfies PositionUpdate),
})

/** `value` as text: a word has no place in `values`. */
export const reading = (
  vehicle: string,
  sensor: string,
  eventTs: number,
  value: string,
): Omit<Entry, 'seq' | 'appendedAt' | 'isLate'> => ({
  kind: 'sensordata',
  vehicle,
  sensor,
  eventTs,
  json: JSON.stringify({
    update_type: 'sensordata',
    vehicle_id: vehicle,
    sensor_id: sensor,
    values: Number.isNaN(Number(value)) ? [] : [{ timestamp: eventTs, value: Number(value) }],
    value,
    timestamp: eventTs,
  } satisfies SensordataUpdate),
})

export const anomaly = (
  vehicle: string,
  anomalyId: number,
  eventTs: number,
  detected = 'd',
): Omit<Entry, 'seq' | 'appendedAt' | 'isLate'> => ({
  kind: 'anomaly',
  vehicle,
  sensor: '',
  eventTs,
  json: JSON.stringify({
    update_type: 'anomaly',
    desc: 'as ingest wrote it',
    cost_impact: '0',
    vehicle_id: vehicle,
    declared_timestamp: 'confirmed',
    detection_timestamp: detected,
    cause: '',
    actions: '',
    downtime: '0',
    anomaly_id: anomalyId,
    timestamp: eventTs,
  } satisfies AnomalyUpdate),
})

type Answer<Id extends OperationId> = z.output<(typeof operations)[Id]['ok']['schema']>
type App = { request(path: string, init?: RequestInit): Response | Promise<Response> }

/** Asks, and holds the answer against the contract: its status is listed, its body is as the schema says. */
export async function ask<Id extends OperationId>(app: App, id: Id, path: string, init?: RequestInit) {
  const response = await app.request(path, init)
  expect(response.headers.get('Access-Control-Allow-Origin')).not.toBe(null)
  const operation: Operation = operations[id]
  const isProblem = response.status !== 200 && isV1(operation.path)
  expect(response.headers.get('Content-Type')).toBe(isProblem ? problemMediaType : 'application/json')
  const body = await response.json()
  if (response.status === 200) operation.ok.schema.parse(body)
  else {
    const status = isProblem ? problemSchema.parse(body).status : errorSchema.parse(body).code
    expect(status).toBe(response.status)
    const listed: readonly ProblemCode[] = [...operation.problems, ...commonProblems]
    expect(listed.map((code) => problems[code].status)).toContain(response.status)
  }
  return { status: response.status, headers: response.headers, body: body as Answer<Id> }
}

/** What every operation must withstand beside its own questions. */
export const errorOf = (status: number, fields: string) => ({
  status,
  body: { code: status, message: expect.any(String), fields },
})

export const problemOfV1 = (status: number, ...fields: string[]) => ({ status, body: { status, fields } })
