import { maxTrips, type TripRow } from '@flasktoria/contracts/rest-v1-positions'
import type { HandlerDependencies } from './handlers.ts'
import type { HistoryGate } from './history-gate.ts'
import { formatKeyset } from './keyset-cursor.ts'
import type { Handlers } from './operation-routes.ts'
import { periodOf } from './period.ts'
import { PlausibleFixes } from './plausible-fixes.ts'
import { continued, defaultGapSeconds, refuseLongScan } from './position-parameters.ts'
import { TripDetector, type Trip, type TripWishes } from './trips.ts'
import { vehicleFixes, type Sources } from './vehicle-fixes.ts'

/** So far a receiver may be off in a street canyon. */
const radiusMetres = 50

async function findTrips(
  sources: Sources,
  question: { vehicle: string; from: number; to: number; limit: number },
  wishes: TripWishes,
  signal: AbortSignal,
) {
  const { coverage, fixes } = vehicleFixes(sources, question, signal)
  const plausible = new PlausibleFixes()
  const detector = new TripDetector(wishes)
  const trips: Trip[] = []
  const add = (trip: Trip | undefined) => trip && trips.push(trip)
  for await (const fix of fixes) {
    for (const taken of plausible.take(fix)) add(detector.push(taken))
    if (trips.length > question.limit) break
  }
  if (trips.length <= question.limit) {
    plausible.end()
    add(detector.finish())
  }
  const shown = trips.slice(0, question.limit)
  const truncated = trips.length > question.limit
  // The next trip begins where the last one ended, or later.
  const next = truncated ? formatKeyset([shown.at(-1)!.end.timestamp]) : null
  return { trips: shown, implausible: plausible.leftOut, end: { truncated, next, coverage } }
}

const toRow = ({ start, end, hasEnded, distanceMetres, movingMs, stops }: Trip): TripRow => ({
  start,
  end,
  hasEnded,
  distanceMetres: Math.round(distanceMetres),
  durationSeconds: (end.timestamp - start.timestamp) / 1_000,
  movingSeconds: movingMs / 1_000,
  stops,
})

export function createTripsHandler(
  { history, window, watermark, limits, now }: HandlerDependencies,
  gate: HistoryGate,
): Pick<Handlers, 'getVehicleTrips'> {
  const sources = { history, window, watermark }
  return {
    getVehicleTrips: async ({ parameters }, c) => {
      const { vehicle_id: vehicle, stop = 120, park = 900, gap = defaultGapSeconds, limit = maxTrips } = parameters
      const period = continued(periodOf(parameters, now()), parameters.cursor)
      refuseLongScan(period, history, limits.fleetPeriodMs)
      const wishes = { radiusMetres, stopMs: stop * 1_000, parkMs: park * 1_000, gapMs: gap * 1_000 }
      const { trips, implausible, end } = await gate.run(c.get('signal'), (signal) =>
        findTrips(sources, { vehicle, ...period, limit }, wishes, signal),
      )
      return { vehicle, ...period, implausible, rows: trips.map(toRow), ...end }
    },
  }
}
