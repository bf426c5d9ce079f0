import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dayOf, historyTables } from './history-layout.ts'
import { openParquetWriter, type ParquetRow } from './parquet-writer.ts'
import {
  latestSql,
  readLatest,
  readTrack,
  readVisitors,
  trackSql,
  visitorsSql,
  type Box,
  type VehicleFix,
} from './queries-positions.ts'
import { countsSql, drivingSql, fuelUseSql, readCounts, readDriving, readFuelUse } from './queries-use.ts'
import type { TableProfile } from './table-profile.ts'
import type { ColumnBatch, Warehouse } from './warehouse.ts'

export type StoredReading = { vehicle: string; sensor: string; timestamp: number; value: number }
/** A warehouse whose sensor table holds these rows, each once, and nothing else. */
export type PositionsUnderTest = { warehouse: Warehouse; profile: TableProfile; close: () => Promise<void> }

const minute = 60_000
const hour = 60 * minute
const noon = Date.UTC(2026, 10, 24, 12)
const start = noon - 30 * hour
const period = { from: start, to: noon }
const vehicles = ['v1', 'v2', "o'hara", '\\', 'ü😀']
export const [speed, level, gps] = ['pid_13_mode_1', 'pid_47_mode_1', 'gps_coordinates']

let seed = 11
const random = (): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
  return seed / 2 ** 31
}

/** A vehicle each, that wanders around the antimeridian, with a speed and a tank; now and then it is silent. */
const fixes: VehicleFix[] = []
export const readings: StoredReading[] = []
for (const [index, vehicle] of vehicles.entries()) {
  let [lat, long, tank, kmh] = [-17, 179.95, 60, 0]
  for (let timestamp = start + index; timestamp <= noon; timestamp += random() < 0.01 ? 2 * hour : 4 * minute) {
    lat += (random() - 0.5) / 50
    long += (random() - 0.5) / 50
    if (long > 180) long -= 360
    if (long < -180) long += 360
    fixes.push({ vehicle, timestamp, lat: Number(lat.toFixed(6)), long: Number(long.toFixed(6)) })
    kmh = random() < 0.4 ? 0 : Math.round(random() * 1_400) / 10
    readings.push({ vehicle, sensor: speed, timestamp, value: kmh })
    tank = random() < 0.01 ? Math.min(100, tank + 40) : Math.max(0, tank - random() / 5)
    readings.push({ vehicle, sensor: level, timestamp, value: Number((tank + random() / 2).toFixed(2)) })
  }
}
readings.push({ vehicle: 'v1', sensor: speed, timestamp: start + 5 * minute, value: 1e6 })
const strays: VehicleFix[] = [
  { vehicle: 'v1', timestamp: noon - 1, lat: 0, long: 0 },
  { vehicle: 'v1', timestamp: noon - 2, lat: 30, long: 1_555.6 },
]

/** What a warehouse under test has to hold, in the columns of our own table. */
const ownRows: readonly [day: number, row: ParquetRow][] = [
  ...[...fixes, ...strays].map(({ vehicle, timestamp, lat, long }): [number, ParquetRow] => [
    dayOf(timestamp),
    [vehicle, gps, timestamp, null, `[${lat},${long}]`, lat, long],
  ]),
  ...readings.map(({ vehicle, sensor, timestamp, value }): [number, ParquetRow] => [
    dayOf(timestamp),
    [vehicle, sensor, timestamp, value, String(value), null, null],
  ]),
]
/** Writes them as the history writer does, and answers with their days. */
export async function writeOwnRows(directory: string): Promise<number[]> {
  const byDay = Map.groupBy(ownRows, ([day]) => day)
  const writer = await openParquetWriter({ directory })
  for (const [day, rows] of byDay)
    await writer.write(
      historyTables.sensor,
      day,
      { stream: 'raw-0', first: day, last: day },
      rows.map(([, row]) => row),
    )
  await writer.close()
  return [...byDay.keys()]
}

/** The same as labelled text: time, sensor, vehicle, value; and what is no position. */
export const labelledRows: readonly (readonly [string, string, string, string])[] = [
  ...[...fixes, ...strays].map(
    ({ vehicle, timestamp, lat, long }) => [String(timestamp), gps, vehicle, `at: [${lat}, ${long}]`] as const,
  ),
  ...readings.map(
    ({ vehicle, sensor, timestamp, value }) => [String(timestamp), sensor, vehicle, `label: ${value}`] as const,
  ),
  ...['[1,2]', 'at: 1,2', 'at: [1;2]', 'at: [a,b]', 'a: b: [1,2]', 'at: [,]'].map(
    (text) => [String(noon - 3), gps, 'v1', text] as const,
  ),
]

const byteOrder = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const inOrder = vehicles.toSorted(byteOrder)
const holds = ({ west, south, east, north }: Box, { lat, long }: VehicleFix) =>
  lat >= south && lat <= north && (west <= east ? long >= west && long <= east : long >= west || long <= east)
const within =
  ({ from, to }: { from: number; to: number }) =>
  (one: { timestamp: number }) =>
    one.timestamp >= from && one.timestamp <= to
const readingsOf = (vehicle: string, sensor: string, max = Infinity) =>
  readings.filter((one) => one.vehicle === vehicle && one.sensor === sensor && one.value <= max)

/** What an engine has to say of where vehicles were and how they were used. */
export function positionQueries(name: string, open: () => Promise<PositionsUnderTest>): void {
  describe(`positions asked of ${name}`, () => {
    let held: PositionsUnderTest
    beforeAll(async () => {
      held = await open()
    }, 180_000)
    afterAll(() => held.close())

    type Build<Question> = (dialect: Warehouse['dialect'], profile: TableProfile, question: Question) => string
    async function ask<Q, T>(build: Build<Q>, question: Q, read: (batch: ColumnBatch) => Iterable<T>): Promise<T[]> {
      const sql = build(held.warehouse.dialect, held.profile, question)
      const options = { signal: AbortSignal.timeout(60_000), deadlineMs: 60_000, maxRows: 100_000 }
      const rows: T[] = []
      for await (const batch of held.warehouse.query(sql, options)) rows.push(...read(batch))
      return rows
    }

    test('the track of a vehicle is each of its positions once, oldest first, and no other', async () => {
      for (const vehicle of [...vehicles, 'nobody']) {
        const expected = fixes
          .filter((fix) => fix.vehicle === vehicle)
          .map(({ timestamp, lat, long }) => ({ timestamp, lat, long }))
        expect(await ask(trackSql, { vehicle, ...period, limit: 10_000 }, readTrack)).toEqual(expected)
      }
      const part = { from: noon - 9 * hour, to: noon - 4 * hour }
      const answer = await ask(trackSql, { vehicle: 'v2', ...part, limit: 5 }, readTrack)
      expect(answer.map(({ timestamp }) => timestamp)).toEqual(
        fixes
          .filter((fix) => fix.vehicle === 'v2' && within(part)(fix))
          .slice(0, 5)
          .map(({ timestamp }) => timestamp),
      )
    })

    test('the fleet at a time is the last position of each vehicle, by page', async () => {
      const until = { from: noon - 20 * hour, to: noon - 10 * hour }
      const expected = inOrder.map((vehicle) => fixes.findLast((fix) => fix.vehicle === vehicle && within(until)(fix)))
      expect(await ask(latestSql, { ...until, limit: 100 }, readLatest)).toEqual(expected)
      expect(await ask(latestSql, { ...until, after: inOrder[1], limit: 2 }, readLatest)).toEqual(expected.slice(2, 4))
      expect(await ask(latestSql, { from: 1, to: 2, limit: 2 }, readLatest)).toEqual([])
    })

    test.each([
      { west: 179.9, south: -17.05, east: -179.95, north: -16.95 },
      { west: -180, south: -90, east: 180, north: 90 },
      { west: 179.9, south: -17, east: 179.97, north: -16.97 },
    ])('visitors of the box %j are those with a position in it', async (box) => {
      const inside = fixes.filter((fix) => holds(box, fix))
      const expected = inOrder.flatMap((vehicle) => {
        const own = inside.filter((fix) => fix.vehicle === vehicle)
        const [first] = own
        const last = own.at(-1)
        if (!first || !last) return []
        const visits = own.filter((fix, at) => at === 0 || fix.timestamp - own[at - 1]!.timestamp > 10 * minute).length
        return { ...last, first: first.timestamp, fixes: own.length, visits }
      })
      expect(expected.length).toBeGreaterThan(0)
      const question = { ...period, box, gapMs: 10 * minute }
      expect(await ask(visitorsSql, { ...question, limit: 100 }, readVisitors)).toEqual(expected)
      const page = await ask(visitorsSql, { ...question, after: inOrder[0], limit: 1 }, readVisitors)
      expect(page).toEqual(expected.filter(({ vehicle }) => vehicle !== inOrder[0]).slice(0, 1))
    })

    test('driving sums up what each reading of the speed says until the next one', async () => {
      const question = { ...period, sensor: speed, movingAbove: 1, speedLimit: 100, gapMs: 10 * minute, limit: 100 }
      const answer = await ask(drivingSql, question, readDriving)
      expect(answer.map(({ vehicle }) => vehicle)).toEqual(inOrder)
      for (const { vehicle, distanceMetres, ...sums } of answer) {
        const own = readingsOf(vehicle, speed, 500)
        const [first, last] = [own[0]!, own.at(-1)!]
        const expected = {
          readings: own.length,
          movingMs: 0,
          idleMs: 0,
          overspeedMs: 0,
          overspeeds: 0,
          maxSpeedKmh: 0,
          first: first.value,
          firstAt: first.timestamp,
          last: last.value,
          lastAt: last.timestamp,
        }
        let metres = 0
        for (const [at, { timestamp, value }] of own.entries()) {
          const [before, next] = [own[at - 1], own[at + 1]]
          expected.maxSpeedKmh = Math.max(expected.maxSpeedKmh, value)
          const isNew = !before || before.value <= 100 || timestamp - before.timestamp > 10 * minute
          if (value > 100 && isNew) expected.overspeeds++
          const ms = next ? next.timestamp - timestamp : Infinity
          if (!next || ms > 10 * minute) continue
          if (value > 1) expected.movingMs += ms
          else expected.idleMs += ms
          if (value > 100) expected.overspeedMs += ms
          metres += (((value + next.value) / 2) * ms) / 3_600
        }
        expect(sums).toEqual(expected)
        expect(distanceMetres).toBeCloseTo(metres, 3)
        expect(sums.overspeeds).toBeGreaterThan(0)
      }
      expect(await ask(drivingSql, { ...question, vehicle: "o'hara" }, readDriving)).toEqual(
        answer.filter(({ vehicle }) => vehicle === "o'hara"),
      )
    })

    test('a range of vehicles is asked like the fleet, and each has as many readings as are counted', async () => {
      const [first, last] = [inOrder[1]!, inOrder[3]!]
      const question = { ...period, sensor: speed, limit: 100 }
      const counts = inOrder.map((vehicle) => ({ vehicle, readings: readingsOf(vehicle, speed).length }))
      expect(await ask(countsSql, question, readCounts)).toEqual(counts)
      const some = { ...question, vehicles: { first, last } }
      expect(await ask(countsSql, some, readCounts)).toEqual(counts.slice(1, 4))
      const rules = { movingAbove: 1, speedLimit: 100, gapMs: 10 * minute }
      const whole = await ask(drivingSql, { ...question, ...rules }, readDriving)
      const part = await ask(drivingSql, { ...some, ...rules }, readDriving)
      expect(part.map(({ vehicle }) => vehicle)).toEqual(inOrder.slice(1, 4))
      expect(part.map(({ movingMs }) => movingMs)).toEqual(whole.slice(1, 4).map(({ movingMs }) => movingMs))
    })

    test('fuel is what the level fell by, fillings apart, and noise is none', async () => {
      const intervalMs = 20 * minute
      const question = { ...period, sensor: level, intervalMs, filledAbove: 5, limit: 100 }
      const answer = await ask(fuelUseSql, question, readFuelUse)
      expect(answer.map(({ vehicle }) => vehicle)).toEqual(inOrder)
      for (const { vehicle, used, filled, fillings, firstMean, lastMean, readings: count } of answer) {
        const means = [
          ...Map.groupBy(readingsOf(vehicle, level), ({ timestamp }) => Math.floor(timestamp / intervalMs)),
        ]
          .toSorted(([a], [b]) => a - b)
          .map(([, own]) => own.reduce((sum, { value }) => sum + value, 0) / own.length)
        const rises = means.slice(1).map((mean, at) => mean - means[at]!)
        const sum = (some: readonly number[]) => some.reduce((total, rise) => total + rise, 0)
        expect([firstMean, lastMean]).toEqual([means[0], means.at(-1)].map((mean) => expect.closeTo(mean!, 6)))
        expect(count).toBe(readingsOf(vehicle, level).length)
        expect(used).toBeCloseTo(-sum(rises.filter((rise) => rise < 5)), 6)
        expect(filled).toBeCloseTo(sum(rises.filter((rise) => rise >= 5)), 6)
        expect(fillings).toBe(rises.filter((rise) => rise >= 5).length)
      }
      expect(answer.some(({ fillings }) => fillings > 0)).toBe(true)
      const [alone] = await ask(fuelUseSql, { ...question, vehicle: '\\' }, readFuelUse)
      expect(alone?.fillings).toBe(answer.find(({ vehicle }) => vehicle === '\\')?.fillings)
    })
  })
}
