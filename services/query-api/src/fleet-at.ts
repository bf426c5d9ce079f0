import { maxVehicles } from '@flasktoria/contracts/rest-v1-positions'
import type { Period } from '@flasktoria/warehouse/queries'
import type { VehicleFix } from '@flasktoria/warehouse/queries-positions'
import { columnRows } from './column-rows.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { formatKeyset } from './keyset-cursor.ts'
import { negotiate } from './negotiation.ts'
import type { Handlers } from './operation-routes.ts'
import { answerPoints } from './points-answer.ts'
import { refuseLongPeriod, vehicleBehind } from './position-parameters.ts'
import { compareBytes } from './reading-merge.ts'
import type { RecentWindow } from './recent-window.ts'
import { answerRows } from './rows-answer.ts'
import { positionCoverage, type Sources } from './vehicle-fixes.ts'

const columns = { vehicle: 'text', timestamp: 'bigint', lat: 'double', long: 'double' } as const

/** The newest position in a period of each vehicle that the window still has on the map. */
const recentFixes = (window: RecentWindow, { from, to }: Period): VehicleFix[] =>
  window.positions().flatMap((newest) => {
    if (newest.timestamp < from) return []
    return newest.timestamp <= to ? newest : window.track(newest.vehicle, { from, to }).slice(0, 1)
  })

/** Of each vehicle the newer position, of equally old ones the first one's; in the order of their ids. */
export function mergeLatest(first: readonly VehicleFix[], second: readonly VehicleFix[]): VehicleFix[] {
  const latest = new Map<string, VehicleFix>()
  for (const fix of [...first, ...second]) {
    const known = latest.get(fix.vehicle)
    if (!known || fix.timestamp > known.timestamp) latest.set(fix.vehicle, fix)
  }
  return [...latest.values()].toSorted((a, b) => compareBytes(a.vehicle, b.vehicle))
}

type FleetQuestion = Period & { after: string | undefined; limit: number }

async function findFleet(sources: Sources, question: FleetQuestion, signal: AbortSignal) {
  const { after, limit } = question
  const recent = recentFixes(sources.window, question).filter(
    ({ vehicle }) => after === undefined || compareBytes(vehicle, after) > 0,
  )
  const coverage = positionCoverage(question, sources)
  const { history } = sources
  // One more than may be shown tells that there are more.
  const past = history?.hasPositions ? await history.latest({ ...question, limit: limit + 1 }, signal) : []
  const all = mergeLatest(past, recent)
  const rows = all.slice(0, limit)
  const truncated = all.length > limit
  return { rows, end: { truncated, next: truncated ? formatKeyset([rows.at(-1)!.vehicle]) : null, coverage } }
}

export function createFleetHandler(
  { history, window, watermark, limits, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'getFleet'> {
  const sources = { history, window, watermark }
  return {
    getFleet: async ({ parameters }, c) => {
      const { maxAge = 3_600, limit = maxVehicles, cursor } = parameters
      const format = negotiate(c, parameters.format)
      const at = Math.min(parameters.at ?? now(), now())
      const period = { from: Math.max(0, at - maxAge * 1_000), to: at }
      refuseLongPeriod(period, limits.fleetPeriodMs, 'maxAge')
      const { rows, end } = await gate.run(c.get('signal'), (signal) =>
        findFleet(sources, { ...period, after: vehicleBehind(cursor), limit }, signal),
      )
      if (format === 'geojson') return answerPoints(c, rows, end)
      return answerRows(c, { format, columns, head: { at }, rows: columnRows(columns, rows, end) })
    },
  }
}
