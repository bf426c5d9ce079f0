import type { AnomalyFacts } from '@flasktoria/contracts/anomaly-listing'
import { countedBy, type CountedBy } from '@flasktoria/contracts/rest-v1-anomalies'
import { defaultAnomalies, severityOf } from '@flasktoria/contracts/catalogue'
import { dayOf, historyTables } from '@flasktoria/warehouse/history-layout'
import { openParquetWriter, type ParquetRow } from '@flasktoria/warehouse/parquet-writer'
import { createDuckdbWarehouse } from '@flasktoria/warehouse/warehouse-duckdb'
import * as fc from 'fast-check'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { keyOfAnomaly } from './anomalies.ts'
import { anomaly, createTestApp, testNow } from './test-app.ts'

vi.setConfig({ testTimeout: 60_000 })

// Counts are sums of the engine and of what the window knows one by one: over real files, with anomalies in one, the other or both.
const hour = 3_600_000
const directory = mkdtempSync(join(tmpdir(), 'anomaly-counts-'))
const warehouse = await createDuckdbWarehouse({ directory })
const writer = await openParquetWriter({ directory })
afterAll(async () => {
  await writer.close()
  await warehouse.close()
  rmSync(directory, { recursive: true })
})

type Known = AnomalyFacts & { isStored: boolean; isHeard: boolean; times: number }
const known: fc.Arbitrary<Known> = fc.record({
  vehicle: fc.constantFrom('v', 'w', 'é'),
  timestamp: fc.constantFrom(0, 1, 2, 24, 26, 50).map((hours) => testNow - hours * hour),
  anomalyId: fc.constantFrom(0, 1, 4, 99),
  detectionTime: fc.constantFrom('a', 'b'),
  confirmationTime: fc.constant('confirmed'),
  isStored: fc.boolean(),
  // Few: what is older than all of them is counted by the engine.
  isHeard: fc.constantFrom(true, false, false, false),
  times: fc.integer({ min: 1, max: 3 }),
})
/** As often as producers sent it. */
const sent = (all: readonly Known[]) => all.flatMap((one) => Array<Known>(one.times).fill(one))

async function store(all: readonly Known[]): Promise<void> {
  rmSync(join(directory, historyTables.anomaly.directory), { recursive: true, force: true })
  for (const [day, group] of Map.groupBy(all, ({ timestamp }) => dayOf(timestamp))) {
    const rows = group.map(({ vehicle, timestamp, anomalyId, detectionTime, confirmationTime }): ParquetRow => [
      vehicle,
      's',
      timestamp,
      detectionTime,
      confirmationTime,
      anomalyId,
      '',
      '',
    ])
    await writer.write(historyTables.anomaly, day, { stream: 'a-0', first: 0, last: rows.length - 1 }, rows)
  }
}

const severities = new Map(defaultAnomalies.map((one) => [one.id, severityOf(one)]))
const groups: Record<CountedBy, (one: AnomalyFacts) => string | number | null> = {
  type: ({ anomalyId }) => anomalyId,
  vehicle: ({ vehicle }) => vehicle,
  severity: ({ anomalyId }) => severities.get(anomalyId) ?? null,
  hour: ({ timestamp }) => timestamp - (timestamp % hour),
  day: ({ timestamp }) => timestamp - (timestamp % (24 * hour)),
}

test('each anomaly counts once, whether the history knows it, the window, or both, however late and often it came', async () => {
  const wishes = fc.record({
    all: fc.array(known, { maxLength: 40 }),
    fromHours: fc.integer({ min: 0, max: 55 }),
    vehicle: fc.option(fc.constantFrom('v', 'nobody'), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(wishes, async ({ all, fromHours, vehicle }) => {
      await store(sent(all.filter(({ isStored }) => isStored)))
      const { app, hear } = createTestApp({ warehouse })
      const heard = sent(all.filter(({ isHeard }) => isHeard))
      hear(...heard.map((one) => anomaly(one.vehicle, one.anomalyId, one.timestamp, one.detectionTime)))

      const from = testNow - fromHours * hour
      const meant = all
        .filter(({ isStored, isHeard }) => isStored || isHeard)
        .filter((one) => one.timestamp >= from && (vehicle === undefined || one.vehicle === vehicle))
      const each = [...new Map(meant.map((one) => [keyOfAnomaly(one), one])).values()]
      for (const by of countedBy) {
        const query = `from=${from}&by=${by}${vehicle === undefined ? '' : `&vehicle=${vehicle}`}`
        const response = await app.request(`/api/v1/anomalies/counts?${query}`)
        const { rows } = (await response.json()) as { rows: { key: string | number | null; count: number }[] }
        const expected = [...Map.groupBy(each, groups[by])].map(([key, group]) => ({ key, count: group.length }))
        expect(rows).toHaveLength(expected.length)
        expect(rows).toEqual(expect.arrayContaining(expected))
      }
    }),
    { numRuns: 40 },
  )
})
