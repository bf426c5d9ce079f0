import { Fleet, vehicleNames, type FleetListener } from '@flasktoria/kafka-ingest/simulator-fleet'
import { positionSensor } from '@flasktoria/contracts/records'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** One line of a recording: what a vehicle measured, as text. */
export type Reading = { vehicle: string; ts: number; sensor: string; text: string }

/** `vehicle_id,timestamp_ms,sensor,value`; only values are quoted. */
function parseLine(line: string): Reading {
  const [vehicle, ts, sensor, ...value] = line.split(',')
  return { vehicle: vehicle!, ts: Number(ts), sensor: sensor!, text: value.join(',').replaceAll('"', '') }
}

const recorded = (folder: string): Reading[] =>
  gunzipSync(readFileSync(join(folder, 'real_dev_open.csv.gz')))
    .toString()
    .trimEnd()
    .split('\n')
    .slice(1)
    .map(parseLine)

/** Ten minutes of twenty simulated vehicles, long ago; on whole seconds, as the five-field producer counts. */
function simulated(): Reading[] {
  const fleet = new Fleet({ vehicles: 20, seed: 7 })
  const names = vehicleNames(20)
  const begin = Date.parse('2024-05-01T08:00:00Z')
  const readings: Reading[] = []
  let ts = begin
  const hear = (v: number, sensor: string, text: string) => void readings.push({ vehicle: names[v]!, ts, sensor, text })
  const listener: FleetListener = {
    fix: (v, lat, long) => hear(v, positionSensor, `[${lat.toFixed(6)},${long.toFixed(6)}]`),
    reading: (v, sensor, value, decimals) => hear(v, sensor, value.toFixed(decimals)),
    word: hear,
    anomaly: () => {},
  }
  while (fleet.elapsedMs < 600_000) {
    ts = begin + Math.floor(fleet.elapsedMs / 1_000) * 1_000
    fleet.nextTurn(listener)
  }
  return readings
}

/** The real recording of RECORDINGS_DIR, or without it what a simulated fleet measured. */
export function loadReadings(): Reading[] {
  const folder = process.env['RECORDINGS_DIR']
  return folder ? recorded(folder) : simulated()
}

export const readingKey = ({ vehicle, sensor }: Pick<Reading, 'vehicle' | 'sensor'>) => `${vehicle}\t${sensor}`
export const positionOf = (text: string) => JSON.parse(text) as [lat: number, long: number]

/** Receivers without satellites say 0,0; some say what is no place on earth. */
function isValid({ sensor, text }: Reading): boolean {
  if (sensor !== positionSensor) return text !== '' && !/nan|inf/i.test(text)
  const [lat, long] = positionOf(text)
  return Math.abs(lat) <= 90 && Math.abs(long) <= 180 && (lat !== 0 || long !== 0)
}

export const validReadings = (readings: readonly Reading[]) => readings.filter(isValid)

/** The newest reading of each vehicle and sensor. */
export function lastReadings(readings: readonly Reading[]): Map<string, Reading> {
  const last = new Map<string, Reading>()
  for (const reading of readings) {
    const known = last.get(readingKey(reading))
    if (!known || known.ts <= reading.ts) last.set(readingKey(reading), reading)
  }
  return last
}
