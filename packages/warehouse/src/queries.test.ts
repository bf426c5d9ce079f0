import { rmSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { dialects } from './dialects.ts'
import { dayOf, historyTables } from './history-layout.ts'
import { openParquetWriter, type ParquetRow } from './parquet-writer.ts'
import { readReadings, readSpeedUse, readingsSql, speedUseSql, type Reading } from './queries.ts'
import { tableProfiles, type TableProfile } from './table-profile.ts'
import { openTestTables } from './test-tables.ts'

vi.setConfig({ testTimeout: 30_000 })

const { own, legacy } = tableProfiles
const day = 86_400_000
const noon = Date.UTC(2026, 10, 24, 12)
const { folder, run, ask } = openTestTables()
let nextOffset = 0

beforeEach(async () => {
  for (const table of ['sensor', 'anomaly']) rmSync(join(folder, table), { recursive: true, force: true })
  for (const table of ['sensor', 'anomaly']) await run(`DELETE FROM ${table}`)
})

type Sample = Reading & { vehicle: string }

/** The same readings in the form of either profile. */
async function store(profile: TableProfile, samples: readonly Sample[], words: readonly Omit<Sample, 'value'>[] = []) {
  if (profile === legacy) {
    const rows = [
      ...samples.map(
        ({ vehicle, sensor, timestamp, value }) => [timestamp, sensor, vehicle, `label: ${value}`] as const,
      ),
      ...words.map(({ vehicle, sensor, timestamp }) => [timestamp, sensor, vehicle, 'label: D'] as const),
    ].map((row) => `(${row.map((cell) => dialects.duckdb.text(String(cell))).join(', ')})`)
    if (rows.length > 0) await run(`INSERT INTO sensor VALUES ${rows.join(', ')}`)
    return
  }
  const writer = await openParquetWriter({ directory: folder })
  const rows: [number, ParquetRow][] = [
    ...samples.map(({ vehicle, sensor, timestamp, value }): [number, ParquetRow] => [
      dayOf(timestamp),
      [vehicle, sensor, timestamp, value, String(value), null, null],
    ]),
    ...words.map(({ vehicle, sensor, timestamp }): [number, ParquetRow] => [
      dayOf(timestamp),
      [vehicle, sensor, timestamp, null, 'D', null, null],
    ]),
  ]
  for (const [at, group] of Map.groupBy(rows, ([rowDay]) => rowDay)) {
    const file = { stream: 'raw-0', first: nextOffset, last: nextOffset }
    nextOffset += 1
    await writer.write(
      historyTables.sensor,
      at,
      file,
      group.map(([, cells]) => cells),
    )
  }
  await writer.close()
}

const sample = (timestamp: number, value = 1, sensor = 's', vehicle = 'v'): Sample => ({
  vehicle,
  sensor,
  timestamp,
  value,
})

const newestFirst = (a: Reading, b: Reading) =>
  b.timestamp - a.timestamp || (a.sensor < b.sensor ? -1 : Number(a.sensor > b.sensor)) || a.value - b.value

describe.each([
  ['own', own],
  ['legacy', legacy],
] as const)('in the profile %s', (_, profile) => {
  const readings = (question: Parameters<typeof readingsSql>[2]) =>
    ask(readingsSql(dialects.duckdb, profile, question), (batch) => readReadings(profile, batch))

  test('readings are those of the vehicle, the sensors and the period, both ends included, newest first', async () => {
    const ids = fc.constantFrom('a', 'b', "it's", '${env:PATH}', '\\', '%', '😀')
    const samples = fc.array(
      fc.record({
        vehicle: ids,
        sensor: ids,
        timestamp: fc.integer({ min: noon, max: noon + 20 }),
        value: fc.integer({ min: -3, max: 3 }),
      }),
      { maxLength: 40 },
    )
    const question = fc.record({
      vehicle: ids,
      sensors: fc.uniqueArray(ids, { minLength: 1 }),
      from: fc.integer({ min: noon, max: noon + 20 }),
      to: fc.integer({ min: noon, max: noon + 20 }),
      limit: fc.integer({ min: 1, max: 12 }),
    })
    await fc.assert(
      fc
        .asyncProperty(samples, question, async (stored, asked) => {
          await store(profile, stored)
          const expected = stored
            .filter(({ vehicle, sensor }) => vehicle === asked.vehicle && asked.sensors.includes(sensor))
            .filter(({ timestamp }) => timestamp >= asked.from && timestamp <= asked.to)
            .map(({ sensor, timestamp, value }) => ({ sensor, timestamp, value }))
            .toSorted(newestFirst)
          const answer = await readings({ ...asked, limit: 1_000 })
          // Equal times stand in the order of the stored form: as text, -1 and 1 are ordered otherwise than as numbers.
          const inOrder = profile === own ? answer : answer.toSorted(newestFirst)
          expect(inOrder).toEqual(expected)
          expect(await readings(asked)).toEqual(answer.slice(0, asked.limit))
        })
        .beforeEach(async () => {
          rmSync(join(folder, 'sensor'), { recursive: true, force: true })
          await run('DELETE FROM sensor')
        }),
      { numRuns: 25 },
    )
  })

  test('times of every length are compared as numbers', async () => {
    const times = [0, 9, 946_684_800_000, 999_999_999_999, 1_000_000_000_000, noon, 9_999_999_999_999]
    await store(
      profile,
      times.map((timestamp) => sample(timestamp)),
    )
    const asked = { vehicle: 'v', sensors: ['s'], limit: 100 }
    const timesIn = async (from: number, to: number) => (await readings({ ...asked, from, to })).map((r) => r.timestamp)
    expect(await timesIn(0, Number.MAX_SAFE_INTEGER)).toEqual(times.toReversed())
    expect(await timesIn(9, 999_999_999_999)).toEqual([999_999_999_999, 946_684_800_000, 9])
    expect(await timesIn(1_000_000_000_000, noon)).toEqual([noon, 1_000_000_000_000])
  })

  test('a period reaches over days', async () => {
    await store(profile, [sample(noon - day, 1), sample(noon, 2), sample(noon + day, 3)])
    const asked = { vehicle: 'v', sensors: ['s'], limit: 100 }
    expect((await readings({ ...asked, from: noon - day, to: noon + day })).map((r) => r.value)).toEqual([3, 2, 1])
    expect((await readings({ ...asked, from: noon - day, to: noon + day - 1 })).map((r) => r.value)).toEqual([2, 1])
  })

  test('words are no readings', async () => {
    await store(profile, [sample(noon, 5)], [{ vehicle: 'v', sensor: 's', timestamp: noon + 1 }])
    const asked = { vehicle: 'v', sensors: ['s'], from: noon, to: noon + 1, limit: 10 }
    expect(await readings(asked)).toEqual([{ sensor: 's', timestamp: noon, value: 5 }])
  })

  test('numbers come back to the last digit', async () => {
    const values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -12.5]
    await store(
      profile,
      values.map((value, index) => sample(noon + index, value)),
    )
    const answer = await readings({ vehicle: 'v', sensors: ['s'], from: noon, to: noon + 9, limit: 10 })
    expect(answer.map(({ value }) => value)).toEqual(values.toReversed())
  })

  test('the use of a vehicle is counted in three periods by one statement', async () => {
    const to = noon
    const from = { day: to - day, week: to - 7 * day, month: to - 30 * day }
    await store(
      profile,
      [
        sample(to, 10),
        sample(to, 0),
        sample(from.day, 20),
        sample(from.day - 1, 30),
        sample(from.month, 0),
        sample(from.month - 1, 99),
      ],
      [{ vehicle: 'v', sensor: 's', timestamp: to }],
    )
    const question = { vehicle: 'v', sensor: 's', from, to, movingAbove: 0 }
    const [use] = await ask(speedUseSql(dialects.duckdb, profile, question), (batch) => [readSpeedUse(batch)])
    expect(use).toEqual({
      day: { readings: 3, moving: 2, mean: 10, meanMoving: 15 },
      week: { readings: 4, moving: 3, mean: 15, meanMoving: 20 },
      month: { readings: 5, moving: 3, mean: 12, meanMoving: 20 },
    })
    const silent = { ...question, vehicle: 'nobody' }
    const [nothing] = await ask(speedUseSql(dialects.duckdb, profile, silent), (batch) => [readSpeedUse(batch)])
    expect(nothing?.month).toEqual({ readings: 0, moving: 0, mean: 0, meanMoving: 0 })
  })
})

describe('tables by row key', () => {
  const profile: TableProfile = { ...legacy, sensor: { ...legacy.sensor, rowKey: { column: 'id', shards: 2 } } }

  test('the ranges of keys hold exactly the times of the period, and few others', async () => {
    await run('CREATE TABLE keyed AS SELECT *, NULL::VARCHAR AS id FROM sensor')
    const keyed = { ...profile, sensor: { ...profile.sensor, table: 'keyed' } }
    const time = fc.oneof(
      fc.integer({ min: noon - 5, max: noon + 5 }),
      fc.nat(1200),
      fc.integer({ min: 999_999_999_990, max: 1_000_000_000_010 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(time, { minLength: 1, maxLength: 30 }), time, time, async (times, from, to) => {
        await run('DELETE FROM keyed')
        const rows = times.map((ts, index) => `('${ts}', 's', 'v', 'l: 1', '${index % 2}_${ts}_v')`)
        await run(`INSERT INTO keyed VALUES ${rows.join(', ')}`)
        const sql = readingsSql(dialects.duckdb, keyed, { vehicle: 'v', sensors: ['s'], from, to, limit: 100 })
        const answer = await ask(sql, (batch) => readReadings(keyed, batch))
        const expected = times.filter((ts) => ts >= from && ts <= to).toSorted((a, b) => b - a)
        expect(answer.map(({ timestamp }) => timestamp)).toEqual(expected)
      }),
      { numRuns: 40 },
    )
  })

  test('each shard is bounded by its key, in one range for times of one length', () => {
    const sql = readingsSql(dialects.impala, profile, {
      vehicle: 'v',
      sensors: ['s'],
      from: noon,
      to: noon + 9,
      limit: 1,
    })
    expect(sql.match(/`id` >= '\d_1\d{12}' AND `id` < '\d_1\d{12}'/g)).toHaveLength(2)
  })
})

test('the day is always sent where there is one, as a constant on the bare column', () => {
  const question = { vehicle: 'v', sensors: ['s'], from: noon - day, to: noon, limit: 1 }
  for (const dialect of Object.values(dialects))
    expect(readingsSql(dialect, own, question)).toContain(`${dialect.identifier('day')} BETWEEN 20261123 AND 20261124`)
})

test('what is no time or no text never becomes SQL', () => {
  const question = { vehicle: 'v', sensors: ['s'], from: 0, to: 1, limit: 1 }
  expect(() => readingsSql(dialects.spark, own, { ...question, to: Number.NaN })).toThrow(RangeError)
  expect(() => readingsSql(dialects.spark, own, { ...question, vehicle: 'a\0' })).toThrow(RangeError)
  expect(() => readingsSql(dialects.spark, own, { ...question, sensors: [] })).toThrow(RangeError)
})
