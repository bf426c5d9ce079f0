import type { z } from 'zod'
import { Problem } from './problem.ts'

/** The key of a page's last row as opaque text. */
export const formatKeyset = (key: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(key)).toString('base64url')

/**
 * The key that a client gave back: what it holds comes from outside, and is only what the schema says.
 * @throws Problem
 */
export function parseKeyset<Key>(cursor: string | undefined, schema: z.ZodType<Key>): Key | undefined {
  if (cursor === undefined) return undefined
  const key = schema.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString()))
  if (key.success) return key.data
  throw new Problem('invalid_parameter', 'cursor is malformed.', ['cursor'])
}

/** No engine keeps a NUL or a lone surrogate, so no cursor of ours holds one: it comes out as no text. */
const keepable = (_: string, value: unknown) =>
  typeof value === 'string' && (value.includes('\0') || !value.isWellFormed()) ? undefined : value

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, keepable)
  } catch {
    return undefined
  }
}
