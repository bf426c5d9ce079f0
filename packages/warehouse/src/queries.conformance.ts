import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dialect } from './dialect.ts'
import { dayOf, historyTables, type HistoryTableName } from './history-layout.ts'
import { openParquetWriter, type ParquetRow } from './parquet-writer.ts'
import {
  anomaliesSql,
  anomalyCountsSql,
  anomalyGroupings,
  readAnomalies,
  readAnomalyCounts,
} from './queries-anomalies.ts'
import { bucketsSql, pageSql, readBuckets, readPage } from './queries-history.ts'
import {
  latestSql,
  readLatest,
  readTrack,
  readVisitors,
  trackSql,
  visitorCountsSql,
  visitorsSql,
} from './queries-positions.ts'
import { countsSql, drivingSql, fuelUseSql, readCounts, readDriving, readFuelUse } from './queries-use.ts'
import { readReadings, readSpeedUse, readingsSql, speedUseSql, type Period } from './queries.ts'
import type { TableProfile } from './table-profile.ts'
import type { ColumnBatch, Warehouse } from './warehouse.ts'

/** One builder of questions: what it can be asked, as SQL, and how its answer is read. */
export type QueryKind = {
  name: string
  questions: fc.Arbitrary<unknown>
  sql: (dialect: Dialect, profile: TableProfile, question: never) => string
  read: (profile: TableProfile, batch: ColumnBatch) => Iterable<unknown>
}

type Choice = {
  vehicle: fc.Arbitrary<string>
  sensor: fc.Arbitrary<string>
  period: fc.Arbitrary<Period>
  limit: fc.Arbitrary<number>
}
const dayMs = 86_400_000
const optional = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined })

/** Every builder that there is. */
export function queryKinds({ vehicle, sensor, period, limit }: Choice): QueryKind[] {
  const kind = <Question>(
    name: string,
    questions: fc.Arbitrary<Question>,
    sql: (dialect: Dialect, profile: TableProfile, question: Question) => string,
    read: QueryKind['read'],
  ): QueryKind => ({ name, questions, sql, read })
  const withPeriod = <T extends object>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.tuple(fc.record(shape), period).map(([question, { from, to }]) => ({ ...(question as T), from, to }))
  const sensors = fc.uniqueArray(sensor, { minLength: 1, maxLength: 4 })
  const key = fc.record({ timestamp: period.map(({ from }) => from), sensor })
  const anomalyKey = fc.record({
    timestamp: period.map(({ from }) => from),
    vehicle,
    anomalyId: fc.integer({ min: -5, max: 9 }),
    detectionTime: sensor,
  })
  const isReversed = fc.boolean()
  const types = optional(fc.uniqueArray(fc.integer({ min: -5, max: 9 }), { maxLength: 4 }))
  const costPeriod = period.map(({ from, to }) => ({
    from: { day: Math.max(from, to - dayMs), week: Math.max(from, to - 7 * dayMs), month: from },
    to,
  }))
  const degrees = (most: number) => fc.integer({ min: -most * 8, max: most * 8 }).map((eighths) => eighths / 8)
  const box = fc
    .record({ west: degrees(180), east: degrees(180), one: degrees(90), other: degrees(90) })
    .map(({ west, east, one, other }) => ({ west, east, south: Math.min(one, other), north: Math.max(one, other) }))
  const vehicles = optional(
    fc.tuple(vehicle, vehicle).map(([a, b]) => (a < b ? { first: a, last: b } : { first: b, last: a })),
  )
  const use = { vehicle: optional(vehicle), vehicles, sensor, limit }
  const visits = { after: optional(vehicle), vehicles, limit, box, gapMs: fc.integer({ min: 0, max: dayMs }) }
  return [
    kind('readings', withPeriod({ vehicle, sensors, limit }), readingsSql, readReadings),
    kind(
      'page',
      withPeriod({ vehicle, sensors, limit, isReversed, after: optional(key) }),
      pageSql,
      function* (profile, batch) {
        const { timestamps, sensors: names, values } = readPage(profile, batch)
        for (const [row, timestamp] of timestamps.entries()) yield [timestamp, names[row], values[row]]
      },
    ),
    kind(
      'buckets',
      withPeriod({ vehicle, sensors, bucketMs: fc.integer({ min: 1, max: 5 * dayMs }) }).map((question) => ({
        ...question,
        origin: Math.min(question.from, question.to),
      })),
      bucketsSql,
      (_, batch) => readBuckets(batch),
    ),
    kind(
      'anomalies',
      withPeriod({ vehicle: optional(vehicle), types, limit, isReversed, after: optional(anomalyKey) }),
      anomaliesSql,
      (_, batch) => readAnomalies(batch),
    ),
    kind(
      'anomaly counts',
      withPeriod({ vehicle: optional(vehicle), types, limit, by: fc.constantFrom(...anomalyGroupings) }),
      anomalyCountsSql,
      (_, batch) => readAnomalyCounts(batch),
    ),
    kind(
      'speed use',
      fc
        .tuple(fc.record({ vehicle, sensor, movingAbove: fc.integer({ min: 0, max: 30 }) }), costPeriod)
        .map(([question, times]) => ({ ...question, ...times })),
      speedUseSql,
      (_, batch) => [readSpeedUse(batch)],
    ),
    kind('track', withPeriod({ vehicle, limit }), trackSql, (_, batch) => readTrack(batch)),
    kind('latest', withPeriod({ after: optional(vehicle), limit }), latestSql, (_, batch) => readLatest(batch)),
    kind('visitors', withPeriod(visits), visitorsSql, (_, batch) => readVisitors(batch)),
    kind('visitor counts', withPeriod(visits), visitorCountsSql, (_, batch) => readCounts(batch)),
    kind('reading counts', withPeriod(use), countsSql, (_, batch) => readCounts(batch)),
    kind(
      'driving',
      withPeriod({
        ...use,
        movingAbove: fc.integer({ min: 0, max: 30 }),
        speedLimit: fc.integer({ min: 30, max: 130 }),
        gapMs: fc.integer({ min: 0, max: dayMs }),
      }),
      drivingSql,
      (_, batch) => readDriving(batch),
    ),
    kind(
      'fuel use',
      withPeriod({
        ...use,
        intervalMs: fc.integer({ min: 1, max: dayMs }),
        filledAbove: fc.integer({ min: 1, max: 50 }),
      }),
      fuelUseSql,
      (_, batch) => readFuelUse(batch),
    ),
  ]
}

const noon = Date.UTC(2026, 10, 24, 12)
const vehicles = ['v1', 'v2', "o'hara", '${env:HOME}', '\\', 'ü😀', "' OR 1=1 --"]
const positionSensor = 'gps_coordinates'
const sensors = ['pid_13_mode_1', 'pid_47_mode_1', 'x%_y', "'; DROP TABLE sensor; --"]

export type StoredReading = { vehicle: string; sensor: string; ts: number; value: number | null; text: string }
export type StoredFix = { vehicle: string; ts: number; lat: number; long: number }
/** In the order of the columns of the table of anomalies. */
export type StoredAnomalyRow = readonly [string, string, number, string, string, number, string, string]

/** The same rows in every run; none stands twice, for the order of those is that of the stored form. */
export function sampleRows() {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return (seed >>> 8) % below
  }
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]!
  const when = () => noon - random(40) * dayMs - random(100) * 60_000
  const once = <T>(rows: T[], keyOf: (row: T) => unknown) => [
    ...new Map(rows.map((row) => [JSON.stringify(keyOf(row)), row])).values(),
  ]
  const reading = (): StoredReading => {
    const value = pick([null, 0, 0.1, 1 / 3, 5e-324, 1e300, random(1e6) / 7_000, -random(100)])
    const text = value === null ? 'D' : String(value)
    return { vehicle: pick(vehicles), sensor: pick(sensors), ts: when(), value, text }
  }
  const fix = (): StoredFix => ({
    vehicle: pick(vehicles),
    ts: when(),
    lat: (random(180_000_000) - 90_000_000) / 1e6,
    long: (random(360_000_000) - 180_000_000) / 1e6,
  })
  const anomaly = (): StoredAnomalyRow => {
    const ts = noon - random(40) * dayMs - random(3) * 3_600_000
    return [pick(vehicles), 's', ts, pick(['', 'a', 'é']), 'c', random(7), pick(['', "it's"]), 'x']
  }
  return {
    readings: once(Array.from({ length: 6_000 }, reading), ({ vehicle, sensor, ts }) => [vehicle, sensor, ts]),
    fixes: once(Array.from({ length: 1_500 }, fix), ({ vehicle, ts }) => [vehicle, ts]),
    anomalies: once(Array.from({ length: 400 }, anomaly), ([vehicle, , ts, detected, , id]) => [
      vehicle,
      ts,
      detected,
      id,
    ]),
  }
}

/** As our history writer keeps them. @returns the days of each table */
export async function writeSampleRows(directory: string): Promise<Record<HistoryTableName, number[]>> {
  const { readings, fixes, anomalies } = sampleRows()
  const writer = await openParquetWriter({ directory })
  const write = async (table: HistoryTableName, rows: readonly [number, ParquetRow][]) => {
    const byDay = Map.groupBy(rows, ([ts]) => dayOf(ts))
    for (const [index, [day, group]] of [...byDay].entries()) {
      const file = { stream: 'raw-0', first: index, last: index }
      await writer.write(
        historyTables[table],
        day,
        file,
        group.map(([, cells]) => cells),
      )
    }
    return [...byDay.keys()]
  }
  const sensor = await write('sensor', [
    ...readings.map(({ vehicle, sensor: name, ts, value, text }): [number, ParquetRow] => [
      ts,
      [vehicle, name, ts, value, text, null, null],
    ]),
    ...fixes.map(({ vehicle, ts, lat, long }): [number, ParquetRow] => [
      ts,
      [vehicle, positionSensor, ts, null, `[${lat},${long}]`, lat, long],
    ]),
  ])
  const anomaly = await write(
    'anomaly',
    anomalies.map((row): [number, ParquetRow] => [row[2], [...row]]),
  )
  await writer.close()
  return { sensor, anomaly }
}

/** The rows of the first Flasktoria's tables, as SQL values; the anomalies have no cause and no advice there. */
export function legacySampleValues({ text, integer }: Dialect): { sensor: string[]; anomaly: string[] } {
  const { readings, fixes, anomalies } = sampleRows()
  const row = (ts: number, sensor: string, vehicle: string, value: string) =>
    `(${[String(ts), sensor, vehicle, value].map(text).join(', ')})`
  return {
    sensor: [
      ...readings.map(({ vehicle, sensor, ts, text: value }) => row(ts, sensor, vehicle, `label: ${value}`)),
      ...fixes.map(({ vehicle, ts, lat, long }) => row(ts, positionSensor, vehicle, `label: [${lat},${long}]`)),
    ],
    anomaly: anomalies.map(
      ([vehicle, sensor, ts, detected, confirmed, id]) =>
        `(${integer(ts)}, ${text(detected)}, ${text(confirmed)}, ${text(sensor)}, ${text(vehicle)}, ${integer(id)})`,
    ),
  }
}

/** An engine with the sample rows, in the form that a profile has them. */
export type Site = { warehouse: Warehouse; profile: TableProfile }
type Sites = { reference: Site; site: Site; close: () => Promise<void> }

const signal = new AbortController().signal

async function answer({ warehouse, profile }: Site, { sql, read }: QueryKind, question: unknown): Promise<string[]> {
  const statement = sql(warehouse.dialect, profile, question as never)
  const rows: unknown[] = []
  for await (const batch of warehouse.query(statement, { signal, deadlineMs: 60_000, maxRows: 100_000 }))
    rows.push(...read(profile, batch))
  return rows.map((row) => JSON.stringify(row, roundSums))
}

/** Engines add up in different orders; what is no sum has few digits, or is compared to the last one as text. */
const sums = /^(?:sum|mean|meanMoving|distanceMetres|used|filled|firstMean|lastMean)$/
const roundSums = (name: string, value: unknown) =>
  sums.test(name) && typeof value === 'number' ? Number(value.toPrecision(9)) : value

/**
 * What every engine and every form of the tables promises: the same rows for every question, to the last digit and in the same
 * order, as the reference gives. `questions`: how many of each kind, which have an answer. `isLabelled`: words count against the limit there, and anomalies have no cause and no advice.
 */
export function queriesConformance(
  name: string,
  open: () => Promise<Sites>,
  options: { questions: number; isLabelled?: boolean },
) {
  describe(`the sample rows in ${name}`, () => {
    let sites: Sites
    beforeAll(async () => {
      sites = await open()
    })
    afterAll(() => sites.close())

    const choice: Choice = {
      vehicle: fc.constantFrom(...vehicles, 'nobody', "v1' OR 'a'='a"),
      sensor: fc.constantFrom(...sensors),
      limit: options.isLabelled ? fc.constant(100_000) : fc.integer({ min: 1, max: 1_500 }),
      period: fc
        .tuple(fc.nat(45 * 1_440), fc.nat(45 * 1_440))
        .map(([a, b]) => ({ from: noon - Math.max(a, b) * 60_000, to: noon - Math.min(a, b) * 60_000 })),
    }
    const withoutTexts = (row: string) =>
      options.isLabelled ? row.replace(/"rootCause":.*$/, '"rootCause":"","recommendation":""}') : row

    test.each(queryKinds(choice))('$name: the same rows, in the same order', async (kind) => {
      let compared = 0
      for (const question of fc.sample(kind.questions, { numRuns: 500, seed: 1 })) {
        const rows = (await answer(sites.reference, kind, question)).map(withoutTexts)
        // That nothing is nothing everywhere says little.
        if (rows.length === 0) continue
        expect({ question, rows: await answer(sites.site, kind, question) }).toEqual({ question, rows })
        if (++compared === options.questions) break
      }
      expect(compared).toBe(options.questions)
    })
  })
}
