import type { RowsEnd } from '@flasktoria/contracts/rest-v1'
import type { Cell, ColumnBatch } from '@flasktoria/warehouse/warehouse'
import type { Columns } from './row-formats.ts'
import type { Rows } from './rows-answer.ts'

type RowOf<Shape extends Columns> = Readonly<Record<keyof Shape, Cell>>

/** Rows by column, as an answer takes them. */
export function batchOf<Shape extends Columns>(columns: Shape, rows: readonly RowOf<Shape>[]): ColumnBatch {
  const names = Object.keys(columns)
  return { columns: names, rowCount: rows.length, values: names.map((name) => rows.map((row) => row[name]!)) }
}

/** An answer of rows that are there already. */
export async function* columnRows<Shape extends Columns>(
  columns: Shape,
  rows: readonly RowOf<Shape>[],
  end: RowsEnd,
): Rows {
  yield batchOf(columns, rows)
  return end
}
