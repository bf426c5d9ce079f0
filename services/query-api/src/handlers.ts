import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import type { AnomalyCatalogue, SensorCatalogue, VehicleNames } from '@flasktoria/contracts/catalogue'
import type { Mutes } from '@flasktoria/live-log/mutes'
import type { Period } from '@flasktoria/warehouse/queries'
import { listAnomalies, mergeAnomalies } from './anomalies.ts'
import { createAnomalyHandlers } from './anomalies-answer.ts'
import { browserOrigin, clientOf } from './browser.ts'
import { costIndex, efficiencyIndex, movingAboveKmh, periodStarts } from './cost.ts'
import type { Seam } from './coverage.ts'
import { answerJson } from './conditional.ts'
import { FleetMap } from './fleet-map.ts'
import { createHistoryHandlers } from './history-answer.ts'
import { HistoryGate } from './history-gate.ts'
import type { History } from './history.ts'
import { detailsJson, sensorsJson, socketUrl, speedSensor } from './live-answers.ts'
import type { Handlers } from './operation-routes.ts'
import { readPeriod, readSensorIds } from './period.ts'
import { createPositionHandlers } from './position-handlers.ts'
import { Problem, tooManyRows } from './problem.ts'
import type { RecentWindow } from './recent-window.ts'
import { mergeSeries, type Series } from './series.ts'
import { seriesBody } from './series-json.ts'

export type HandlerDependencies = {
  window: RecentWindow
  /** How long a reading stays in the window after it arrived. */
  windowMs: number
  /** Absent: there is no warehouse, and the window is all the history there is. */
  history: History | undefined
  /** How far the history is complete. */
  watermark: Seam['watermark']
  mutes: Mutes
  catalogues: { sensors: SensorCatalogue; anomalies: AnomalyCatalogue; names: VehicleNames }
  limits: { sensorIds: number; rows: number; historyRequests: number; fleetPeriodMs: number }
  now: () => number
  newClientId: () => string
}

/** The operations of the contract. An answer about the past is the history, and what the window knows beyond it. */
export function createHandlers(dependencies: HandlerDependencies): Handlers {
  const { window, history, mutes, catalogues, limits, now, newClientId } = dependencies
  const anomalyCatalogue = new Map(catalogues.anomalies.map((anomaly) => [anomaly.id, anomaly]))
  const described = { names: catalogues.names, sensors: sensorsJson(catalogues.sensors) }
  const map = new FleetMap(window, catalogues.names, now)
  // What the window answers alone needs no turn.
  const gate = new HistoryGate(history ? limits.historyRequests : Infinity)

  /** What happened in this second the window knows, if anybody does: so whoever asks up to now asks the history the same. */
  const pastOf = ({ from, to }: Period): Period =>
    to > now() - 1_000 ? { from, to: Math.max(from, to - (to % 1_000)) } : { from, to }

  const recentSeries = (vehicle: string, sensors: readonly string[], period: Period) =>
    new Map(sensors.map((sensor) => [sensor, window.readings(vehicle, sensor, period)]))

  async function seriesOf(vehicle: string, sensors: readonly string[], period: Period, signal: AbortSignal) {
    const past = await history?.readings({ vehicle, sensors, ...pastOf(period) }, signal)
    const recent = recentSeries(vehicle, sensors, period)
    return past ? new Map(sensors.map((sensor) => [sensor, union(past.get(sensor), recent.get(sensor)!)])) : recent
  }

  async function anomaliesOf(period: Period, signal: AbortSignal, vehicle?: string): Promise<AnomalyFacts[]> {
    const past = await history?.anomalies({ ...pastOf(period), vehicle }, signal)
    const recent = window.anomalies(period).filter((anomaly) => vehicle === undefined || anomaly.vehicle === vehicle)
    return mergeAnomalies(past ?? [], recent)
  }

  return {
    getMap: (_, c) => map.answer(c, socketUrl(browserOrigin(c), clientOf(c, newClientId))),

    getVehicle: ({ parameters }, c) => answerJson(c, detailsJson(window, parameters.vehicle_id, now(), described)),

    getSensordata: async ({ parameters }, c) => {
      const period = readPeriod(parameters, now())
      const sensors = readSensorIds(parameters.sensor_ids, limits.sensorIds)
      const series = await gate.run(c.get('signal'), (signal) =>
        seriesOf(parameters.vehicle_id, sensors, period, signal),
      )
      if (rowsOf(series) > limits.rows) throw tooManyRows()
      const body = seriesBody(series)
      return typeof body === 'string' ? answerJson(c, body) : c.body(body, 200, { 'Content-Type': 'application/json' })
    },

    getAnomalies: async ({ parameters }, c) => {
      const period = readPeriod(parameters, now())
      const anomalies = await gate.run(c.get('signal'), (signal) => anomaliesOf(period, signal))
      if (anomalies.length > limits.rows) throw tooManyRows()
      return listAnomalies(anomalies, anomalyCatalogue)
    },

    getCost: async ({ parameters: { vehicle_id: vehicle } }, c) => {
      const to = now() - (now() % 1_000)
      const from = periodStarts(to)
      // A month of readings is summed up where it lies, and only what the window may know better is read one by one.
      const recentFrom = history ? to - dependencies.windowMs : from.month
      const [anomalies, older, recent] = await gate.run(c.get('signal'), (signal) =>
        Promise.all([
          anomaliesOf({ from: from.month, to }, signal, vehicle),
          history?.speedUse(
            { vehicle, from, to: recentFrom - 1, sensor: speedSensor, movingAbove: movingAboveKmh },
            signal,
          ),
          seriesOf(vehicle, [speedSensor], { from: recentFrom, to }, signal),
        ]),
      )
      return {
        cost_index: costIndex(anomalies, anomalyCatalogue, to),
        efficiency_index: efficiencyIndex(older, recent.get(speedSensor)!, to),
      }
    },

    controlSocket: async ({ parameters, body }, c) => {
      const client = clientOf(c, newClientId, parameters.client)
      const changes = body.map(({ action, update_type, vehicle_id, sensor_id }) => ({
        kind: update_type,
        vehicle: vehicle_id,
        sensor: sensor_id,
        isMuted: action === 'stop',
      }))
      const taken = await mutes.change(client, changes).catch((cause: unknown) => {
        throw new Problem('unavailable', undefined, [], { cause })
      })
      return taken.map((success) => ({ success }))
    },

    ...createPositionHandlers(dependencies, gate),
    ...createHistoryHandlers(dependencies, gate),
    ...createAnomalyHandlers(dependencies, gate),
  }
}

const union = (past: Series | undefined, recent: Series): Series => (past ? mergeSeries(past, recent) : recent)

const rowsOf = (series: ReadonlyMap<string, Series>): number =>
  series.values().reduce((sum, { length }) => sum + length, 0)
