import type { RowsEnd } from '@flasktoria/contracts/rest-v1'
import type { Cell } from '@flasktoria/warehouse/warehouse'
import type { Rows } from './rows-answer.ts'

/** Rows that are there already, as an answer takes them: by column. */
export async function* columnRows<Name extends string>(
  columns: readonly Name[],
  rows: readonly Readonly<Record<Name, Cell>>[],
  end: RowsEnd,
): Rows {
  yield { columns, rowCount: rows.length, values: columns.map((name) => rows.map((row) => row[name])) }
  return end
}
