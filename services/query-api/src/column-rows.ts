import type { RowsEnd } from '@flasktoria/contracts/rest-v1'
import type { Cell, ColumnBatch } from '@flasktoria/warehouse/warehouse'
import type { Rows } from './rows-answer.ts'

/** Rows by column, as an answer takes them. */
export const batchOf = <Name extends string>(
  columns: readonly Name[],
  rows: readonly Readonly<Record<Name, Cell>>[],
): ColumnBatch => ({
  columns,
  rowCount: rows.length,
  values: columns.map((name) => rows.map((row) => row[name])),
})

/** An answer of rows that are there already. */
export async function* columnRows<Name extends string>(
  columns: readonly Name[],
  rows: readonly Readonly<Record<Name, Cell>>[],
  end: RowsEnd,
): Rows {
  yield batchOf(columns, rows)
  return end
}
