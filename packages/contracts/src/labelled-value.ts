/** What follows the first `": "` of a record's labelled text; the label has no meaning. Undefined without one. */
export function textAfterLabel(labelled: string): string | undefined {
  const colon = labelled.indexOf(': ')
  return colon === -1 ? undefined : labelled.slice(colon + 2)
}

/** A decimal number, and nothing else: not hexadecimal, not `Infinity`, not empty. Undefined for anything else. */
export function decimalNumber(text: string): number | undefined {
  if (!/^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}
