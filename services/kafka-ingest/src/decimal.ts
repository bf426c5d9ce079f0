const powersOfTen = Array.from({ length: 16 }, (_, digits) => 10 ** digits)
const [zero, nine, point, minus] = [48, 57, 46, 45]

/**
 * The number that stands between two positions of a text, written as nearly all are: `-12.5`, up to 15 digits. NaN for
 * anything else, numbers or not: ask someone slower then. Exact, as both the digits and the power of ten are doubles without
 * a loss, and a quotient of two such is rounded once.
 */
export function plainDecimal(text: string, from: number, to: number): number {
  const isNegative = text.charCodeAt(from) === minus
  let digits = 0
  let mantissa = 0
  let pointAt = -1
  for (let index = isNegative ? from + 1 : from; index < to; index++) {
    const code = text.charCodeAt(index)
    if (code >= zero && code <= nine) {
      mantissa = mantissa * 10 + (code - zero)
      digits++
    } else if (code === point && pointAt < 0 && digits > 0) pointAt = index
    else return NaN
  }
  if (digits === 0 || digits > 15) return NaN
  const value = pointAt < 0 ? mantissa : mantissa / powersOfTen[to - pointAt - 1]!
  return isNegative ? -value : value
}
