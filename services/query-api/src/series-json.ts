import type { Series } from './series.ts'

const rowsPerChunk = 8_192

/**
 * The series by sensor as the text of one JSON object, in chunks: half a million readings as objects would stop every other
 * request for as long as they take, and a slow reader would hold all of their text.
 */
export function* seriesJson(bySensor: ReadonlyMap<string, Series>): Generator<string> {
  let chunk = '{'
  let separator = ''
  for (const [sensor, series] of bySensor) {
    chunk += `${separator}${JSON.stringify(sensor)}:[`
    separator = ','
    for (let row = 0; row < series.length; row++) {
      chunk += readingJson(series, row)
      if (row % rowsPerChunk !== rowsPerChunk - 1) continue
      yield chunk
      chunk = ''
    }
    chunk += ']'
  }
  yield `${chunk}}`
}

const readingJson = ({ timestamps, values }: Series, row: number): string =>
  `${row === 0 ? '' : ','}{"timestamp":${timestamps[row]!},"value":${values[row]!}}`

/** A series of moderate length as the text of a JSON array. */
export function valuesJson(series: Series): string {
  let text = '['
  for (let row = 0; row < series.length; row++) text += readingJson(series, row)
  return `${text}]`
}

/** One text when it is small, so that it carries its length; else a stream that is made as it is read. */
export function seriesBody(bySensor: ReadonlyMap<string, Series>): string | ReadableStream<Uint8Array> {
  const rows = bySensor.values().reduce((sum, { length }) => sum + length, 0)
  if (rows <= rowsPerChunk) return [...seriesJson(bySensor)].join('')
  const encoder = new TextEncoder()
  return ReadableStream.from(seriesJson(bySensor).map((text) => encoder.encode(text)))
}
