import { formatCursor, parseCursor, type Cursor } from '@flasktoria/live-log/cursor'

/**
 * The cursor that clients get: that of the log, and whether something was hidden from the client by a mute then. If so, the
 * mute may be gone when the client comes back, and what it hid has not changed since: its cursor alone would not bring it.
 */
export type ResumeCursor = Cursor & { isPartial: boolean }

const partialMark = '~'

export const formatResumeCursor = ({ isPartial, ...cursor }: ResumeCursor): string =>
  formatCursor(cursor) + (isPartial ? partialMark : '')

/** Undefined: not a cursor of ours. */
export function parseResumeCursor(text: string): ResumeCursor | undefined {
  const isPartial = text.endsWith(partialMark)
  const cursor = parseCursor(isPartial ? text.slice(0, -partialMark.length) : text)
  return cursor && { ...cursor, isPartial }
}
