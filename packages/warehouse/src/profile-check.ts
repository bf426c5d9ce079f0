import { columnMistakes, describeTable } from './table-description.ts'
import type { TableProfile } from './table-profile.ts'
import type { QueryOptions, Warehouse } from './warehouse.ts'

/** Sentences, one for each column of the history tables that is not as the profile says. @throws WarehouseError */
export async function profileMistakes(
  warehouse: Warehouse,
  profile: TableProfile,
  limits: Omit<QueryOptions, 'maxRows'>,
): Promise<string[]> {
  const mistakes: string[] = []
  for (const table of [profile.sensor, profile.anomaly])
    for (const mistake of columnMistakes(await describeTable(warehouse, profile, table, limits), table))
      mistakes.push(`table ${table.table}: ${mistake}`)
  return mistakes
}
