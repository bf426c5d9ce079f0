import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { legacyTableStatements } from './history-layout.ts'
import { legacySampleValues, queriesConformance, writeSampleRows } from './queries.conformance.ts'
import { tableProfiles, type TableProfile } from './table-profile.ts'
import { createDuckdbWarehouse } from './warehouse-duckdb.ts'
import type { Warehouse } from './warehouse.ts'

vi.setConfig({ testTimeout: 60_000 })

const { own, legacy } = tableProfiles
/** Typed columns without partitions, as a site with Kudu has them. */
const plain: TableProfile = {
  sensor: { ...own.sensor, table: 'plain_sensor', day: undefined },
  anomaly: { ...own.anomaly, table: 'plain_anomaly', day: undefined },
}

const prepare: Record<string, (warehouse: Warehouse) => string[]> = {
  own: () => [],
  plain: () => [
    'CREATE TABLE plain_sensor AS SELECT * FROM sensor_history',
    'CREATE TABLE plain_anomaly AS SELECT * FROM anomaly_history',
  ],
  legacy: ({ dialect }) => {
    const { sensor, anomaly } = legacySampleValues(dialect)
    return [
      ...legacyTableStatements(dialect),
      `INSERT INTO sensor VALUES ${sensor.join(', ')}`,
      `INSERT INTO anomaly VALUES ${anomaly.join(', ')}`,
    ]
  },
}

const open = (name: string, profile: TableProfile) => async () => {
  const directory = mkdtempSync(join(tmpdir(), 'queries-duckdb-'))
  await writeSampleRows(directory)
  const warehouse = await createDuckdbWarehouse({ directory })
  const options = { signal: AbortSignal.timeout(60_000), deadlineMs: 60_000 }
  for (const sql of prepare[name]!(warehouse)) await warehouse.execute(sql, options)
  return {
    reference: { warehouse, profile: own },
    site: { warehouse, profile },
    close: async () => {
      await warehouse.close()
      rmSync(directory, { recursive: true })
    },
  }
}

queriesConformance('plain typed tables of DuckDB', open('plain', plain), { questions: 20 })
queriesConformance('tables of labelled texts of DuckDB', open('legacy', legacy), { questions: 20, isLabelled: true })
