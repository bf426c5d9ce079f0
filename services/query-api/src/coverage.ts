import type { Coverage } from '@flasktoria/contracts/coverage'
import { formatCursor } from '@flasktoria/live-log/cursor'
import type { Period } from '@flasktoria/warehouse/queries'
import type { Lack } from './log-gaps.ts'
import type { Arrivals } from './reading-ring.ts'
import type { RecentKind, RecentWindow } from './recent-window.ts'
import type { Watermark } from './watermark.ts'

/** `watermark` undefined: there is no history. */
export type Seam = { window: RecentWindow; watermark: Pick<Watermark, 'completeTo'> | undefined }

/**
 * What an answer covers that is made of the recent window as it is now and of the history as it is from now on. So: read the
 * window, call this in the same turn, and ask the history then.
 *
 * Everything that arrived before the watermark is in the history, and everything that arrived outside of the window's lacks
 * is in the window. What is in neither arrived during a lack, behind the watermark.
 */
export function coverageOf({ from, to }: Period, { window, watermark }: Seam, kind: RecentKind): Coverage {
  const completeTo = watermark?.completeTo() ?? -Infinity
  const lacks = window.lacks(kind)
  const { cursor } = window
  const recentFrom = Math.max(from, ...lacks.filter((lack) => lack.from === -Infinity).map((lack) => lack.to))
  const recentTo = Math.min(to, lacks.find(({ reason }) => reason === 'log_away')?.from ?? to)
  return {
    history: spanOf(from, Math.min(to, completeTo)),
    recent: cursor ? spanOf(recentFrom, recentTo) : null,
    mayLack: [...behind(Math.max(from, completeTo), lacks)],
    cursor: cursor ? formatCursor(cursor) : null,
  }
}

/** So far the clock of a vehicle may be ahead of ours. */
const clockSlackMs = 10_000

/** `past` is asked of the history, `recent` of the window; either ends before it begins where there is nothing to ask. */
type Handover = { past: Period; recent: Period; coverage: Coverage }

/**
 * Where an answer that sums up goes over from the history to the window: it never sees the readings that both know, so each
 * tells of times of its own. The window tells from when on it missed nothing. What came late since the watermark, and
 * happened before that, the history may not have yet: `hasArrived` looks whether there is any. As with `coverageOf`, ask the
 * history in a later turn than this.
 */
export function handoverOf(
  { from, to }: Period,
  { window, watermark }: Seam,
  kind: RecentKind,
  now: number,
  hasArrived: (late: Arrivals) => boolean,
): Handover {
  const whole = coverageOf({ from, to }, { window, watermark }, kind)
  const completeTo = watermark?.completeTo() ?? -Infinity
  const at = watermark ? Math.max(...window.lacks(kind).map((lack) => lack.to)) + clockSlackMs : from
  const past = { from, to: Math.min(to, at - 1) }
  const recent = { from: Math.max(from, at), to }
  const isLate = past.from <= past.to && hasArrived({ ...past, arrivedFrom: completeTo })
  const late: Lack = { from: Math.max(from, completeTo), to: now, reason: 'not_in_history' }
  return {
    past,
    recent,
    coverage: {
      ...whole,
      history: whole.history && spanOf(from, Math.min(past.to, whole.history.to)),
      recent: whole.recent && spanOf(Math.max(recent.from, whole.recent.from), whole.recent.to),
      mayLack: isLate ? [late] : whole.mayLack,
    },
  }
}

/** What of the lacks lies behind a time, each moment once. They are in order of their beginnings. */
function* behind(time: number, lacks: readonly Lack[]): Generator<Lack> {
  for (const { from, to, reason } of lacks) {
    if (to < time) continue
    yield { from: Math.max(from, time), to, reason }
    time = to
  }
}

const spanOf = (from: number, to: number) => (from <= to ? { from, to } : null)
