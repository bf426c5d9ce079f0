import type { FieldReader, Payload, Wanted } from './decode.ts'

const brace = '{'.charCodeAt(0)
const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** A JSON object a value. It has no schema, so that each record is looked at: a field of another type refuses it. */
export const jsonPayload: Payload = {
  typeOf: () => 'any',
  reader: (wanted) => {
    const fields = wanted.map(({ path, slot }: Wanted) => ({ path, slot }))
    const read: FieldReader = (bytes, from, to, slots) => {
      let at = from
      while (isSpace(bytes[at])) at += 1
      if (bytes[at] !== brace) return bytes[from] === 0 && to - from > 5 ? 'confluent_framing' : 'malformed'
      const record: unknown = JSON.parse(bytes.toString('utf8', from, to))
      for (const { path, slot } of fields) slots[slot] = dig(record, path)
      return undefined
    }
    return read
  },
}

function dig(record: unknown, path: readonly string[]): unknown {
  let value = record
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}
