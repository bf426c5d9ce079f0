import type { DecodeFailure } from './topic-profile.ts'

/** What a schema says of a field, as far as it matters to us. `any`: there is no schema; each record is looked at. */
export type FieldType =
  | 'text'
  | 'integer'
  | 'decimal'
  | 'any'
  | 'truth value'
  | 'bytes'
  | 'list'
  | 'record'
  | 'fine time'

/** A field, by its way through nested records, and the slot that its value goes into. */
export type Wanted = {
  path: readonly string[]
  slot: number
  /** Whether the same texts come again and again, as ids do. */
  recurs?: boolean
}

/**
 * Reads the wanted fields of one value into their slots, and nothing else; a slot stays undefined where there is no such
 * field. The value is what stands between two positions: layers around it cost no copy. Throws `malformed`, or anything.
 */
export type FieldReader = (bytes: Buffer, from: number, to: number, slots: unknown[]) => DecodeFailure | undefined

/** One way to write a record. */
export interface Payload {
  /** @throws Sentence-like error when the schema has no such field */
  typeOf(path: readonly string[]): FieldType
  reader(wanted: readonly Wanted[]): FieldReader
}

/** Bytes that are not what they should be. One object: garbage comes in floods, and nobody reads the stack. */
export const malformed = new Error('malformed')

/** Something in the configuration does not fit; the message is a sentence for the operator. */
export class ProfileError extends Error {
  override readonly name = 'ProfileError'
}

/** The wanted fields, as a tree by their names. */
export type WantedTree = { slots: number[]; recurs: boolean; fields: Map<string, WantedTree> }

export function wantedTree(wanted: readonly Wanted[]): WantedTree {
  const root: WantedTree = { slots: [], recurs: false, fields: new Map() }
  for (const { path, slot, recurs = false } of wanted) {
    let node = root
    for (const name of path) {
      const next = node.fields.get(name) ?? { slots: [], recurs: false, fields: new Map() }
      node.fields.set(name, next)
      node = next
    }
    node.slots.push(slot)
    node.recurs ||= recurs
  }
  return root
}
