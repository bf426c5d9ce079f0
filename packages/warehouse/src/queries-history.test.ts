import { rmSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { dialects } from './dialects.ts'
import { dayOf, historyTables } from './history-layout.ts'
import { openParquetWriter, type ParquetRow } from './parquet-writer.ts'
import { bucketsSql, pageSql, readBuckets, readPage, type Bucket, type PageQuestion } from './queries-history.ts'
import { tableProfiles, type TableProfile } from './table-profile.ts'
import { openTestTables } from './test-tables.ts'

vi.setConfig({ testTimeout: 30_000 })

const { own, legacy } = tableProfiles
const midnight = Date.UTC(2026, 10, 24)
const { folder, run, ask } = openTestTables()

/** NaN: a word. */
type Stored = { vehicle: string; sensor: string; timestamp: number; value: number }

async function store(profile: TableProfile, rows: readonly Stored[]): Promise<void> {
  rmSync(join(folder, 'sensor'), { recursive: true, force: true })
  await run('DELETE FROM sensor')
  const textOf = (value: number) => (Number.isNaN(value) ? 'drive' : String(value))
  if (profile === legacy) {
    const cells = rows.map(({ vehicle, sensor, timestamp, value }) =>
      [String(timestamp), sensor, vehicle, `label: ${textOf(value)}`].map(dialects.duckdb.text).join(', '),
    )
    if (cells.length > 0) await run(`INSERT INTO sensor VALUES (${cells.join('), (')})`)
    return
  }
  const writer = await openParquetWriter({ directory: folder })
  for (const [day, ofDay] of Map.groupBy(rows, ({ timestamp }) => dayOf(timestamp)))
    await writer.write(
      historyTables.sensor,
      day,
      { stream: 'raw-0', first: day, last: day },
      ofDay.map(({ vehicle, sensor, timestamp, value }): ParquetRow => {
        const number = Number.isNaN(value) ? null : value
        return [vehicle, sensor, timestamp, number, textOf(value), null, null]
      }),
    )
  await writer.close()
}

const ids = ['a', 'B', "it's", '${env:PATH}', '\\', '｡', '😀']
const id = fc.constantFrom(...ids)
const timestamp = fc.integer({ min: midnight - 15, max: midnight + 15 })
const storedFrom = (name: fc.Arbitrary<string>) =>
  fc.array(fc.record({ vehicle: name, sensor: name, timestamp, value: fc.constantFrom(-1, 0, 2, Number.NaN) }), {
    maxLength: 60,
  })
const askedFrom = (name: fc.Arbitrary<string>) =>
  fc
    .record({ vehicle: name, sensors: fc.uniqueArray(name, { minLength: 1 }), from: timestamp, to: timestamp })
    .map((question) => ({
      ...question,
      from: Math.min(question.from, question.to),
      to: Math.max(question.from, question.to),
    }))
const [stored, asked] = [storedFrom(id), askedFrom(id)]
const bucketLength = fc.integer({ min: 1, max: 12 })
/** So few that some readings stand in one place, and extremes come twice. */
const few = fc.constantFrom("it's", '😀')

const byteOrder = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
/** The readings that a question is about, oldest first, each once: the least of those that stand in one place. */
const readingsOf = (rows: readonly Stored[], { vehicle, sensors, from, to }: Omit<PageQuestion, 'limit'>) =>
  rows
    .filter((row) => row.vehicle === vehicle && sensors.includes(row.sensor) && !Number.isNaN(row.value))
    .filter((row) => row.timestamp >= from && row.timestamp <= to)
    .toSorted((a, b) => a.timestamp - b.timestamp || byteOrder(a.sensor, b.sensor) || a.value - b.value)
    .filter(
      ({ timestamp: at, sensor }, index, all) => at !== all[index - 1]?.timestamp || sensor !== all[index - 1]?.sensor,
    )

function bucketOf(readings: readonly Stored[], sensor: string, start: number): Bucket {
  const [first, last] = [readings[0]!, readings.at(-1)!]
  const least = readings.toSorted((a, b) => a.value - b.value)[0]!
  const greatest = readings.toSorted((a, b) => b.value - a.value)[0]!
  return {
    sensor,
    start,
    count: readings.length,
    sum: readings.reduce((sum, { value }) => sum + value, 0),
    first: first.value,
    firstAt: first.timestamp,
    last: last.value,
    lastAt: last.timestamp,
    min: least.value,
    minAt: least.timestamp,
    max: greatest.value,
    maxAt: greatest.timestamp,
  }
}

describe.each([
  ['own', own],
  ['legacy', legacy],
] as const)('in the profile %s', (_, profile) => {
  test('pages are all readings, from either end, in the order of time and of the bytes of their sensors', async () => {
    await fc.assert(
      fc.asyncProperty(
        stored,
        asked,
        fc.boolean(),
        fc.integer({ min: 1, max: 4 }),
        async (rows, question, isReversed, limit) => {
          await store(profile, rows)
          const found: [number, string, number][] = []
          for (let after: PageQuestion['after'], isFull = true; isFull;) {
            const page = await ask(
              pageSql(dialects.duckdb, profile, { ...question, isReversed, after, limit }),
              (batch) => {
                const { timestamps, sensors, values } = readPage(profile, batch)
                return timestamps.map((at, row): [number, string, number] => [at, sensors[row]!, values[row]!])
              },
            )
            found.push(...page)
            isFull = page.length === limit
            const [at, sensor] = page.at(-1) ?? [0, '']
            after = { timestamp: at, sensor }
          }
          // What stands in one place stands together in a page, and the next page leaves the rest out.
          const once = found.filter(
            ([at, sensor], index) => at !== found[index - 1]?.[0] || sensor !== found[index - 1]?.[1],
          )
          const oldestFirst = readingsOf(rows, question).map(({ timestamp: at, sensor, value }) => [at, sensor, value])
          const expected = isReversed ? oldestFirst.toReversed() : oldestFirst
          // As text, the least value is another one.
          const compared = profile === own ? 3 : 2
          expect(once.map((row) => row.slice(0, compared))).toEqual(expected.map((row) => row.slice(0, compared)))
        },
      ),
      { numRuns: 25 },
    )
  })

  test('buckets say what their readings come to, with windows and without', async () => {
    await fc.assert(
      fc.asyncProperty(storedFrom(few), askedFrom(few), bucketLength, async (rows, question, bucketMs) => {
        await store(profile, rows)
        const origin = question.from
        const startOf = (at: number) => at - ((at - origin) % bucketMs)
        const groups = Map.groupBy(readingsOf(rows, question), (row) => `${startOf(row.timestamp)} ${row.sensor}`)
        const expected = [...groups.values()]
          .map((group) => bucketOf(group, group[0]!.sensor, startOf(group[0]!.timestamp)))
          .toSorted((a, b) => a.start - b.start || byteOrder(a.sensor, b.sensor))
        for (const dialect of [dialects.duckdb, { ...dialects.duckdb, rowOf: undefined }]) {
          const sql = bucketsSql(dialect, profile, { ...question, bucketMs, origin })
          expect(await ask(sql, readBuckets)).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
  })
})
