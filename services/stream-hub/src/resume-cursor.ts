import { formatCursor, parseCursor, type Cursor } from '@flasktoria/live-log/cursor'

/**
 * The cursor that clients get: that of the log, up to which they have every event, and `stateTo`, up to which they have the
 * state. That is less where something was hidden from them, by a mute or behind a slower subscription: what has not changed
 * since would not come to them otherwise.
 */
export type ResumeCursor = Cursor & { stateTo: number }

/** A `stateTo` of who may lack any of it. Less than every seq, for something may be hidden before the first entry comes. */
export const noState = -1

const mark = '~'

export const formatResumeCursor = ({ stateTo, ...cursor }: ResumeCursor): string =>
  formatCursor(cursor) + (stateTo < cursor.seq ? mark + (stateTo === noState ? '' : stateTo.toString(36)) : '')

/** Undefined: not a cursor of ours. */
export function parseResumeCursor(text: string): ResumeCursor | undefined {
  const [logPart = '', statePart, ...rest] = text.split(mark)
  const cursor = rest.length === 0 ? parseCursor(logPart) : undefined
  if (!cursor || statePart === undefined) return cursor && { ...cursor, stateTo: cursor.seq }
  if (statePart === '') return { ...cursor, stateTo: noState }
  const stateTo = Number.parseInt(statePart, 36)
  return stateTo >= 0 && stateTo.toString(36) === statePart && stateTo < cursor.seq ? { ...cursor, stateTo } : undefined
}
