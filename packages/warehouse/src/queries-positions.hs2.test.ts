import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addPartitionsStatement, createTableStatement, historyTables, legacyTableStatements } from './history-layout.ts'
import { labelledRows, positionQueries, writeOwnRows } from './queries-positions.conformance.ts'
import { refreshStatements, tableName, tableProfiles, type TableProfile } from './table-profile.ts'
import { createHs2Warehouse } from './warehouse-hs2.ts'

const url = process.env['HS2_URL']
if (!url) throw new Error('HS2_URL names no HiveServer2; npm test starts one')

/** A database of its own, and how it goes away. */
async function openDatabase(suffix: string, base: TableProfile) {
  const database = `positions_${suffix}_${process.pid}_${Date.now().toString(36)}`
  const profile: TableProfile = { ...base, database }
  const warehouse = await createHs2Warehouse({
    url: url!,
    maxWaitMs: 60_000,
    openSessionWithinMs: 60_000,
    refresh: { statements: (dialect) => refreshStatements(dialect, profile), everyMs: 60_000 },
  })
  const { dialect } = warehouse
  const run = (sql: string) => warehouse.execute(sql, { signal: AbortSignal.timeout(120_000), deadlineMs: 120_000 })
  await run(`CREATE DATABASE ${dialect.identifier(database)}`)
  const close = async () => {
    await run(`DROP DATABASE IF EXISTS ${dialect.identifier(database)} CASCADE`)
    await warehouse.close()
  }
  return { warehouse, dialect, profile, database, run, close }
}

positionQueries('a HiveServer2 over our own Parquet files', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'positions-hs2-'))
  const { warehouse, dialect, profile, run, close } = await openDatabase('own', tableProfiles.own)
  const table = tableName(dialect, profile, profile.sensor)
  const days = await writeOwnRows(directory)
  await run(createTableStatement(dialect, table, historyTables.sensor, `file://${directory}`))
  await run(addPartitionsStatement(dialect, table, days))
  return {
    warehouse,
    profile,
    close: async () => {
      await close()
      rmSync(directory, { recursive: true })
    },
  }
})

positionQueries('a HiveServer2 over the old labelled text', async () => {
  const { warehouse, dialect, profile, database, run, close } = await openDatabase('legacy', tableProfiles.legacy)
  for (const sql of legacyTableStatements(dialect))
    await run(sql.replace(/(IF NOT EXISTS) /, `$1 ${dialect.identifier(database)}.`))
  const rows = labelledRows.map((row) => `(${row.map(dialect.text).join(', ')})`)
  await run(`INSERT INTO ${tableName(dialect, profile, profile.sensor)} VALUES ${rows.join(', ')}`)
  return { warehouse, profile, close }
})
