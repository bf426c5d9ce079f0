import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { PassThrough, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { readCsv } from './csv.ts'

/** One line of a recording. */
export type RecordedRow = { line: number; vehicle: string; ts: number; sensor: string; value: string }
export type BadRow = { line: number; problem: string }

const columns = ['vehicle_id', 'timestamp_ms', 'sensor', 'value'] as const

export class RecordingError extends Error {
  override readonly name = 'RecordingError'
}

/**
 * The rows of a recording, `.csv` or `.csv.gz`, in their order; columns may stand in any order, beside others.
 * @throws RecordingError when there is no such file or it lacks a column
 */
export async function* readRecording(path: string): AsyncGenerator<RecordedRow | BadRow> {
  let places: number[] | undefined
  try {
    for await (const row of readCsv(await openText(path))) {
      if (places) yield 'cells' in row ? parseRow(row.line, row.cells, places) : row
      else places = columnPlaces('cells' in row ? row.cells : [], path)
    }
  } catch (error) {
    if (error instanceof RecordingError || !(error instanceof Error)) throw error
    throw new RecordingError(`${path} cannot be read: ${error.message}`, { cause: error })
  }
  if (!places) throw new RecordingError(`${path} is empty`)
}

function columnPlaces(header: readonly string[], path: string): number[] {
  const names = header.map((name) => name.replace('\ufeff', '').trim())
  const missing = columns.filter((column) => !names.includes(column))
  if (missing.length > 0)
    throw new RecordingError(`${path} is no recording: its first line names no column ${missing.join(', ')}`)
  return columns.map((column) => names.indexOf(column))
}

function parseRow(line: number, cells: readonly string[], places: readonly number[]): RecordedRow | BadRow {
  const [vehicle, time, sensor, value] = places.map((place) => cells[place])
  if (!vehicle || !time || !sensor || value === undefined) return { line, problem: 'a field is missing' }
  const ts = Number(time)
  if (!/^-?\d+$/.test(time) || !Number.isSafeInteger(ts)) return { line, problem: 'the time is no whole number' }
  return { line, vehicle, ts, sensor, value }
}

async function openText(path: string): Promise<Readable> {
  await access(path).catch((error: unknown) => {
    throw new RecordingError(`there is no recording ${path}`, { cause: error })
  })
  const text = new PassThrough({ encoding: 'utf8' })
  const file = createReadStream(path)
  const done = path.endsWith('.gz') ? pipeline(file, createGunzip(), text) : pipeline(file, text)
  // The reader sees the error, or has gone away itself.
  done.catch(() => {})
  return text
}
