import type { Series } from './series.ts'

/** An answer of so many rows at most is one text, and carries its length. */
const maxWholeRows = 8_192
/** Few enough to be garbage before anything of them is moved to where old objects live. */
const rowsAtOnce = 256
const pieceLength = 65_536

/**
 * The series by sensor as the text of one JSON object, in pieces: half a million readings as objects would stop every other
 * request for as long as they take, and a slow reader would hold all of their text.
 */
export function* seriesJson(bySensor: ReadonlyMap<string, Series>): Generator<string> {
  let text = '{'
  let separator = ''
  for (const [sensor, series] of bySensor) {
    text += `${separator}${JSON.stringify(sensor)}:[`
    separator = ','
    for (let row = 0; row < series.length; row += rowsAtOnce) {
      if (row > 0) text += ','
      text += valuesJson(series, row, row + rowsAtOnce).slice(1, -1)
      if (text.length < pieceLength) continue
      yield text
      text = ''
    }
    text += ']'
  }
  yield `${text}}`
}

/** Some rows of a series as the text of a JSON array. */
export const valuesJson = ({ timestamps, values }: Series, from = 0, to = timestamps.length): string =>
  JSON.stringify(timestamps.slice(from, to).map((timestamp, index) => ({ timestamp, value: values[from + index] })))

/** One text when it is small; else a stream that is made as it is read. */
export function seriesBody(bySensor: ReadonlyMap<string, Series>): string | ReadableStream<Uint8Array> {
  const rows = bySensor.values().reduce((sum, { length }) => sum + length, 0)
  if (rows <= maxWholeRows) return [...seriesJson(bySensor)].join('')
  return ReadableStream.from(seriesJson(bySensor).map((text) => Buffer.from(text)))
}
