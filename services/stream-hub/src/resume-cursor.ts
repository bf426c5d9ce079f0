import { formatCursor, parseCursor, type Cursor } from '@flasktoria/live-log/cursor'

/**
 * The cursor that clients get: that of the log, up to which they have every event; `stateTo`, up to which they have the whole
 * state; and `reach`, up to where they may have something of it. The state is less where something was hidden from them, by a
 * mute or behind a slower subscription: what has not changed since would not come to them otherwise. It reaches further where
 * the slower one was served first: a hub that has not come so far would send them what is older.
 */
export type ResumeCursor = Cursor & { stateTo: number; reach: number }

/** A `stateTo` of who may lack any of it. Less than every seq, for something may be hidden before the first entry comes. */
export const noState = -1

export function formatResumeCursor({ stateTo, reach, ...cursor }: ResumeCursor): string {
  const { seq } = cursor
  const lack = stateTo < seq ? `~${stateTo === noState ? '' : stateTo.toString(36)}` : ''
  return formatCursor(cursor) + lack + (reach > seq ? `+${reach.toString(36)}` : '')
}

/** Undefined: not a cursor of ours. */
export function parseResumeCursor(text: string): ResumeCursor | undefined {
  const [, logPart = '', lack, reachPart] = /^([^~+]*)(?:~([^~+]*))?(?:\+([^~+]*))?$/.exec(text) ?? []
  const cursor = parseCursor(logPart)
  if (!cursor) return undefined
  const { seq } = cursor
  const stateTo = lack === '' ? noState : parseSeq(lack, seq)
  const reach = parseSeq(reachPart, seq)
  if (stateTo === undefined || reach === undefined) return undefined
  return (lack === undefined || stateTo < seq) && (reachPart === undefined || reach > seq)
    ? { ...cursor, stateTo, reach }
    : undefined
}

function parseSeq(text: string | undefined, absent: number): number | undefined {
  if (text === undefined) return absent
  const seq = Number.parseInt(text, 36)
  return Number.isSafeInteger(seq) && seq >= 0 && seq.toString(36) === text ? seq : undefined
}
