import { rmSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { dialects } from './dialects.ts'
import { dayOf, historyTables } from './history-layout.ts'
import { openParquetWriter } from './parquet-writer.ts'
import {
  anomaliesSql,
  anomalyCountsSql,
  anomalyGroupings,
  groupOf,
  readAnomalies,
  readAnomalyCounts,
  type AnomaliesQuestion,
  type AnomalyFilter,
  type StoredAnomaly,
} from './queries-anomalies.ts'
import { tableProfiles, type TableProfile } from './table-profile.ts'
import { openTestTables } from './test-tables.ts'

vi.setConfig({ testTimeout: 30_000 })

const { own, legacy } = tableProfiles
const { duckdb } = dialects
const { folder, run, ask } = openTestTables()
const noon = Date.UTC(2026, 10, 24, 12)
const hour = 3_600_000

beforeEach(() => clear())

async function clear() {
  rmSync(join(folder, 'anomaly'), { recursive: true, force: true })
  await run('DELETE FROM anomaly')
}

async function store(profile: TableProfile, anomalies: readonly StoredAnomaly[]) {
  if (profile === legacy) {
    const rows = anomalies.map(({ timestamp, detectionTime, confirmationTime, vehicle, anomalyId }) => {
      const texts = [detectionTime, confirmationTime, 's', vehicle].map(duckdb.text)
      return `(${timestamp}, ${texts.join(', ')}, ${anomalyId})`
    })
    if (rows.length > 0) await run(`INSERT INTO anomaly VALUES ${rows.join(', ')}`)
    return
  }
  const writer = await openParquetWriter({ directory: folder })
  for (const [day, group] of Map.groupBy(anomalies, ({ timestamp }) => dayOf(timestamp)))
    await writer.write(
      historyTables.anomaly,
      day,
      { stream: 'a-0', first: 0, last: group.length - 1 },
      group.map((one) => [
        one.vehicle,
        's',
        one.timestamp,
        one.detectionTime,
        one.confirmationTime,
        one.anomalyId,
        one.rootCause,
        one.recommendation,
      ]),
    )
  await writer.close()
}

const ids = fc.constantFrom('v', 'w', "it's", '\\', '😀', '\uffee')
const time = fc.integer({ min: -30, max: 30 }).map((hours) => noon + hours * hour)
const types = fc.integer({ min: -1, max: 3 })
const stored: fc.Arbitrary<StoredAnomaly> = fc.record({
  vehicle: ids,
  timestamp: time,
  anomalyId: types,
  detectionTime: fc.constantFrom('', 'a', "b'"),
  confirmationTime: fc.constantFrom('x', 'y'),
  rootCause: fc.constant(''),
  recommendation: fc.constant(''),
})
const filters: fc.Arbitrary<AnomalyFilter> = fc.record({
  from: time,
  to: time,
  vehicle: fc.option(ids, { nil: undefined }),
  types: fc.option(fc.uniqueArray(types, { maxLength: 3 }), { nil: undefined }),
})

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const newestFirst = (a: StoredAnomaly, b: StoredAnomaly) =>
  b.timestamp - a.timestamp ||
  byBytes(a.vehicle, b.vehicle) ||
  a.anomalyId - b.anomalyId ||
  byBytes(a.detectionTime, b.detectionTime)
const inOrder = (isReversed: boolean) => (a: StoredAnomaly, b: StoredAnomaly) =>
  (isReversed ? newestFirst(b, a) : newestFirst(a, b)) || byBytes(a.confirmationTime, b.confirmationTime)
const keyOf = ({ timestamp, vehicle, anomalyId, detectionTime }: StoredAnomaly) =>
  JSON.stringify([timestamp, vehicle, anomalyId, detectionTime])
const passes = (one: StoredAnomaly, filter: AnomalyFilter) =>
  one.timestamp >= filter.from &&
  one.timestamp <= filter.to &&
  (filter.vehicle === undefined || one.vehicle === filter.vehicle) &&
  (filter.types === undefined || filter.types.includes(one.anomalyId))
const each = (all: readonly StoredAnomaly[]) => [...new Map(all.toReversed().map((one) => [keyOf(one), one])).values()]

describe.each([
  ['own', own],
  ['legacy', legacy],
] as const)('in the profile %s', (_, profile) => {
  const anomalies = (question: AnomaliesQuestion) => ask(anomaliesSql(duckdb, profile, question), readAnomalies)

  test('anomalies are those that the filter lets through, in either order; page by page they are the same ones, each once', async () => {
    await fc.assert(
      fc
        .asyncProperty(
          fc.array(stored, { maxLength: 40 }),
          filters,
          fc.boolean(),
          fc.integer({ min: 1, max: 5 }),
          async (all, filter, isReversed, limit) => {
            await store(profile, all)
            const expected = all.filter((one) => passes(one, filter)).toSorted(inOrder(isReversed))
            expect(await anomalies({ ...filter, isReversed, limit: 1_000 })).toEqual(expected)
            const paged: StoredAnomaly[] = []
            for (;;) {
              const page = await anomalies({ ...filter, isReversed, after: paged.at(-1), limit })
              paged.push(...page)
              if (page.length < limit) break
            }
            expect([...new Set(paged.map(keyOf))]).toEqual([...new Set(expected.map(keyOf))])
          },
        )
        .beforeEach(clear),
      { numRuns: 40 },
    )
  })

  test('they are counted by group, each once however often it is stored', async () => {
    await fc.assert(
      fc
        .asyncProperty(
          fc.array(stored, { maxLength: 40 }),
          filters,
          fc.constantFrom(...anomalyGroupings),
          async (all, filter, by) => {
            await store(profile, all)
            const counts = await ask(
              anomalyCountsSql(duckdb, profile, { ...filter, by, limit: 100 }),
              readAnomalyCounts,
            )
            const expected = new Map<string | number, number>()
            for (const one of each(all.filter((it) => passes(it, filter))))
              expected.set(groupOf(by, one), (expected.get(groupOf(by, one)) ?? 0) + 1)
            expect(new Map(counts.map(({ key, count }) => [key, count]))).toEqual(expected)
          },
        )
        .beforeEach(clear),
      { numRuns: 40 },
    )
  })
})

test('a bucket begins at or before what is in it, before 1970 too', async () => {
  const key = { vehicle: 'v', anomalyId: 1, detectionTime: '', timestamp: -1 }
  await store(legacy, [{ ...key, confirmationTime: '', rootCause: '', recommendation: '' }])
  const sql = anomalyCountsSql(duckdb, legacy, { from: -10 * hour, to: 0, by: 'hour', limit: 10 })
  expect(await ask(sql, readAnomalyCounts)).toEqual([{ key: -hour, count: 1 }])
  expect(groupOf('hour', key)).toBe(-hour)
})

test('a row without a vehicle or a type is no anomaly', async () => {
  await run(`INSERT INTO anomaly VALUES (${noon}, 'd', 'c', 's', NULL, 1), (${noon}, NULL, 'c', 's', 'v', 1)`)
  await run(`INSERT INTO anomaly VALUES (${noon}, 'd', 'c', 's', 'v', NULL)`)
  const all = await ask(anomaliesSql(duckdb, legacy, { from: 0, to: noon, limit: 9 }), readAnomalies)
  expect(all).toMatchObject([{ vehicle: 'v', anomalyId: 1, detectionTime: '' }])
})
