import type { Box, Fix, Visitor } from '@flasktoria/warehouse/queries-positions'
import { compareBytes } from './reading-merge.ts'

const isInside = ({ west, south, east, north }: Box, { lat, long }: Fix): boolean =>
  lat >= south && lat <= north && (west <= east ? long >= west && long <= east : long >= west || long <= east)

/** As the engine sums up positions, which come newest first. Empty where none lies in the box. */
export function visitorOf(vehicle: string, fixes: readonly Fix[], box: Box, gapMs: number): Visitor[] {
  const inside = fixes.filter((fix) => isInside(box, fix))
  const [last, first] = [inside[0], inside.at(-1)]
  if (!last || !first) return []
  const { timestamp, lat, long } = last
  const isArrival = (fix: Fix, index: number) => fix.timestamp - (inside[index + 1]?.timestamp ?? -Infinity) > gapMs
  return [
    {
      vehicle,
      first: first.timestamp,
      timestamp,
      fixes: inside.length,
      visits: inside.filter(isArrival).length,
      lat,
      long,
    },
  ]
}

/** Of two times that follow one another, as of the whole; in the order of their ids. */
export function joinVisitors(past: readonly Visitor[], recent: readonly Visitor[], gapMs: number): Visitor[] {
  const whole = new Map(past.map((visitor) => [visitor.vehicle, visitor]))
  for (const late of recent) {
    const early = whole.get(late.vehicle)
    whole.set(late.vehicle, early ? both(early, late, gapMs) : late)
  }
  return [...whole.values()].toSorted((a, b) => compareBytes(a.vehicle, b.vehicle))
}

function both(early: Visitor, late: Visitor, gapMs: number): Visitor {
  const stays = late.first - early.timestamp <= gapMs
  return {
    ...late,
    first: early.first,
    fixes: early.fixes + late.fixes,
    visits: early.visits + late.visits - (stays ? 1 : 0),
  }
}
