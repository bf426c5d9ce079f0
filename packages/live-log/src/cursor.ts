/** Where a reader stands: everything up to `seq` of `epoch` was seen. Opaque to clients. */
export type Cursor = { epoch: string; seq: number }

export const formatCursor = ({ epoch, seq }: Cursor): string => `${epoch}.${seq.toString(36)}`

/** Undefined: not a cursor of ours. */
export function parseCursor(text: string): Cursor | undefined {
  const match = /^([0-9a-z]{1,32})\.([0-9a-z]{1,11})$/.exec(text)
  if (!match) return undefined
  const seq = Number.parseInt(match[2]!, 36)
  return Number.isSafeInteger(seq) ? { epoch: match[1]!, seq } : undefined
}
