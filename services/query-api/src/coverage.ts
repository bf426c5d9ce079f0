import type { Coverage } from '@flasktoria/contracts/coverage'
import { formatCursor } from '@flasktoria/live-log/cursor'
import type { Period } from '@flasktoria/warehouse/queries'
import type { Lack } from './log-gaps.ts'
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

/** What an answer covers that is made of the history alone. */
export function historyCoverage({ from, to }: Period, watermark: Seam['watermark']): Coverage {
  const completeTo = watermark?.completeTo() ?? -Infinity
  const lack = spanOf(Math.max(from, completeTo), to)
  return {
    history: spanOf(from, Math.min(to, completeTo)),
    recent: null,
    mayLack: lack ? [{ ...lack, reason: 'not_in_history' }] : [],
    cursor: null,
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
