import { createTableStatement, historyTables, legacyTableStatements } from '@flasktoria/warehouse/history-layout'
import { tableProfiles } from '@flasktoria/warehouse/table-profile'
import { mkdirSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { executeHs2 } from '../servers/hs2-client.ts'
import type { StackOptions } from './options.ts'

/** Creates the history tables that are missing: ours over the history writer's files, or the old ones, empty. */
export async function createTables(hs2Url: string, tables: StackOptions['tables'], historyDir: string): Promise<void> {
  mkdirSync(historyDir, { recursive: true })
  const location = pathToFileURL(historyDir).href
  const { sensor, anomaly } = tableProfiles[tables]
  await executeHs2(hs2Url, ({ dialect }) => [
    ...(tables === 'legacy'
      ? legacyTableStatements(dialect)
      : Object.values(historyTables).map((table) =>
          createTableStatement(dialect, dialect.identifier(table.name), table, location),
        )),
    // The first question after a start makes the engine load and compile itself: seconds that no operator shall wait.
    ...[sensor, anomaly].map(({ table }) => `SELECT count(*) FROM ${dialect.identifier(table)}`),
  ])
}
