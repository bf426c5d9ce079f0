import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { dialects } from './dialects.ts'
import { legacyTableStatements } from './history-layout.ts'
import { createDuckdbWarehouse } from './warehouse-duckdb.ts'
import type { ColumnBatch, Warehouse } from './warehouse.ts'

const within = () => ({ signal: AbortSignal.timeout(5_000), deadlineMs: 5_000 })

/** DuckDB over an empty folder, with the empty tables of the profile `legacy`, while the tests of a file run. */
export function openTestTables() {
  const folder = mkdtempSync(join(tmpdir(), 'queries-'))
  let warehouse: Warehouse
  const run = (sql: string) => warehouse.execute(sql, within())
  async function ask<T>(sql: string, read: (batch: ColumnBatch) => Iterable<T>): Promise<T[]> {
    const rows: T[] = []
    for await (const batch of warehouse.query(sql, { ...within(), maxRows: 10_000 })) rows.push(...read(batch))
    return rows
  }
  beforeAll(async () => {
    warehouse = await createDuckdbWarehouse({ directory: folder })
    for (const sql of legacyTableStatements(dialects.duckdb)) await run(sql)
  })
  afterAll(async () => {
    await warehouse.close()
    rmSync(folder, { recursive: true })
  })
  return { folder, run, ask }
}
