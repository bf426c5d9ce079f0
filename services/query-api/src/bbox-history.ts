import { maxVehicles } from '@flasktoria/contracts/rest-v1-positions'
import type { VisitorsQuestion } from '@flasktoria/warehouse/queries-positions'
import { columnRows } from './column-rows.ts'
import { joinVisitors, visitorOf } from './box-visits.ts'
import { handoverOf } from './coverage.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { formatKeyset } from './keyset-cursor.ts'
import { negotiate } from './negotiation.ts'
import type { Handlers } from './operation-routes.ts'
import { periodOf } from './period.ts'
import { answerPoints } from './points-answer.ts'
import { defaultGapSeconds, refuseLongPeriod, vehicleBehind } from './position-parameters.ts'
import { Problem } from './problem.ts'
import { compareBytes } from './reading-merge.ts'
import { answerRows } from './rows-answer.ts'

const columns = {
  vehicle: 'text',
  first: 'bigint',
  last: 'bigint',
  fixes: 'bigint',
  visits: 'bigint',
  lat: 'double',
  long: 'double',
} as const

export function createBboxHandler(
  { history, window, watermark, limits, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'getHistoryBbox'> {
  const source = history?.hasPositions ? history : undefined
  const seam = { window, watermark: source && watermark }

  async function findVisitors(question: VisitorsQuestion, signal: AbortSignal) {
    const { after, box, gapMs } = question
    const vehicles = window.trackedVehicles().filter((one) => after === undefined || compareBytes(one, after) > 0)
    const { past, recent, coverage } = handoverOf(question, seam, 'positions', now(), (late) =>
      vehicles.some((one) => visitorOf(one, window.track(one, late), box, gapMs).length > 0),
    )
    const nowInside = vehicles.flatMap((one) => visitorOf(one, window.track(one, recent), box, gapMs))
    const before = past.from <= past.to ? await source?.visitors({ ...question, ...past }, signal) : []
    return { found: joinVisitors(before ?? [], nowInside, gapMs), coverage }
  }

  return {
    getHistoryBbox: async ({ parameters }, c) => {
      const { west, south, east, north, gap = defaultGapSeconds, limit = maxVehicles, cursor } = parameters
      const format = negotiate(c, parameters.format)
      if (south > north) throw new Problem('invalid_parameter', 'south lies north of north.', ['south', 'north'])
      const period = periodOf(parameters, now())
      refuseLongPeriod(period, limits.fleetPeriodMs, 'from', 'to')
      const question = { ...period, box: { west, south, east, north }, gapMs: gap * 1_000 }
      const { found, coverage } = await gate.run(c.get('signal'), (signal) =>
        findVisitors({ ...question, after: vehicleBehind(cursor), limit: limit + 1 }, signal),
      )
      const rows = found.slice(0, limit).map(({ vehicle, first, timestamp, fixes, visits, lat, long }) => {
        return { vehicle, first, last: timestamp, fixes, visits, lat, long }
      })
      const truncated = found.length > limit
      const end = { truncated, next: truncated ? formatKeyset([rows.at(-1)!.vehicle]) : null, coverage }
      if (format === 'geojson') return answerPoints(c, rows, end)
      return answerRows(c, { format, columns, head: period, rows: columnRows(columns, rows, end) })
    },
  }
}
