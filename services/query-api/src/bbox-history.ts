import { maxVehicles } from '@flasktoria/contracts/rest-v1-positions'
import { columnRows } from './column-rows.ts'
import { historyCoverage } from './coverage.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { formatKeyset } from './keyset-cursor.ts'
import { negotiate } from './negotiation.ts'
import type { Handlers } from './operation-routes.ts'
import { periodOf } from './period.ts'
import { answerPoints } from './points-answer.ts'
import { defaultGapSeconds, refuseLongPeriod, vehicleBehind } from './position-parameters.ts'
import { Problem } from './problem.ts'
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
  { history, watermark, limits, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'getHistoryBbox'> {
  return {
    getHistoryBbox: async ({ parameters }, c) => {
      const { west, south, east, north, gap = defaultGapSeconds, limit = maxVehicles, cursor } = parameters
      const format = negotiate(c, parameters.format)
      if (south > north) throw new Problem('invalid_parameter', 'south lies north of north.', ['south', 'north'])
      const period = periodOf(parameters, now())
      refuseLongPeriod(period, limits.fleetPeriodMs, 'from', 'to')
      const after = vehicleBehind(cursor)
      const box = { west, south, east, north }
      const source = history?.hasPositions ? history : undefined
      const coverage = historyCoverage(period, source && watermark)
      const found = await gate.run(c.get('signal'), async (signal) =>
        source ? source.visitors({ ...period, box, gapMs: gap * 1_000, after, limit: limit + 1 }, signal) : [],
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
