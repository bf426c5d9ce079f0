import { mediaTypes } from '@flasktoria/contracts/operation'
import { columnRows } from './column-rows.ts'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { formatKeyset } from './keyset-cursor.ts'
import { negotiate } from './negotiation.ts'
import type { Handlers } from './operation-routes.ts'
import { periodOf } from './period.ts'
import { PlausibleFixes } from './plausible-fixes.ts'
import { continued, defaultGapSeconds, refuseLongScan } from './position-parameters.ts'
import { answerRows } from './rows-answer.ts'
import { TrackBuilder, type TrackWishes } from './track.ts'
import { vehicleFixes, type Sources } from './vehicle-fixes.ts'

const columns = { segment: 'integer', timestamp: 'bigint', lat: 'double', long: 'double' } as const

async function buildTrack(
  sources: Sources,
  question: { vehicle: string; from: number; to: number },
  wishes: TrackWishes,
  signal: AbortSignal,
) {
  const { coverage, fixes } = vehicleFixes(sources, question, signal)
  const builder = new TrackBuilder(wishes)
  const plausible = new PlausibleFixes()
  let hasRoom = true
  for await (const fix of fixes) {
    for (const taken of plausible.take(fix)) hasRoom &&= builder.push(taken)
    if (!hasRoom) break
  }
  if (hasRoom) plausible.end()
  const { segments, toleranceMetres, cutAt } = builder.finish()
  const next = cutAt === undefined ? null : formatKeyset([cutAt])
  const end = { truncated: next !== null, next, coverage }
  return { segments, head: { toleranceMetres, implausible: plausible.leftOut }, end }
}

export function createTrackHandler(
  { history, window, watermark, limits, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'getVehicleTrack'> {
  const sources = { history, window, watermark }
  return {
    getVehicleTrack: async ({ parameters }, c) => {
      const { vehicle_id: vehicle, tolerance = 10, maxPoints = 2_000, gap = defaultGapSeconds } = parameters
      const format = negotiate(c, parameters.format)
      const period = continued(periodOf(parameters, now()), parameters.cursor)
      refuseLongScan(period, history, limits.fleetPeriodMs)
      const wishes = { toleranceMetres: tolerance, maxPoints, gapMs: gap * 1_000 }
      const { segments, head, end } = await gate.run(c.get('signal'), (signal) =>
        buildTrack(sources, { vehicle, ...period }, wishes, signal),
      )
      const about = { vehicle, ...period, ...head }
      if (format !== 'geojson') {
        const rows = segments.flatMap((fixes, segment) => fixes.map((fix) => ({ segment, ...fix })))
        return answerRows(c, { format, columns, head: about, rows: columnRows(columns, rows, end) })
      }
      const lines = segments.map((fixes) => (fixes.length === 1 ? [...fixes, ...fixes] : fixes))
      const feature = {
        type: 'Feature',
        geometry: {
          type: 'MultiLineString',
          coordinates: lines.map((fixes) => fixes.map(({ lat, long }) => [long, lat])),
        },
        properties: { ...about, times: lines.map((fixes) => fixes.map(({ timestamp }) => timestamp)), ...end },
      }
      return c.body(JSON.stringify(feature), 200, { 'Content-Type': mediaTypes.geojson })
    },
  }
}
