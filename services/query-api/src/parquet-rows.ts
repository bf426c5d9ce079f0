import type { HistoryColumn } from '@flasktoria/warehouse/history-columns'
import { ParquetFile, rowGroupRows } from '@flasktoria/warehouse/parquet-encoder'
import type { Cell } from '@flasktoria/warehouse/warehouse'
import type { Columns, RowWriter } from './row-formats.ts'

/** A row group as soon as it is full. What the answer says beside its rows is metadata of the file. */
export function parquetWriter(columns: Columns, head: object): RowWriter {
  const file = new ParquetFile({ columns, order: [] })
  let group = emptyGroup(columns)
  let rowCount = 0

  async function takeGroup(): Promise<Uint8Array[]> {
    if (rowCount === 0) return []
    const pieces = await file.rowGroup(
      group,
      Uint32Array.from({ length: rowCount }, (_, row) => row),
    )
    group = emptyGroup(columns)
    rowCount = 0
    return pieces
  }

  return {
    begin: file.begin.toString(),
    async rows(batch) {
      const pieces: Uint8Array[] = []
      for (let row = 0; row < batch.rowCount;) {
        const end = Math.min(batch.rowCount, row + rowGroupRows - rowCount)
        for (const [index, column] of group.entries()) push(column, batch.values[index]!.slice(row, end))
        rowCount += end - row
        row = end
        if (rowCount === rowGroupRows) pieces.push(...(await takeGroup()))
      }
      return Buffer.concat(pieces)
    },
    async end(end) {
      const last = await takeGroup()
      return Buffer.concat([...last, file.end({ flasktoria: JSON.stringify({ ...head, ...end }) })])
    },
    // Without its end it is no Parquet.
    failure: () => '',
  }
}

const emptyGroup = (columns: Columns): HistoryColumn[] =>
  Object.entries(columns).map(([name, type]) =>
    type === 'text' ? { kind: 'text', name, texts: [] } : { kind: 'number', name, type, numbers: [] },
  )

/** There is one zero, as in the other forms, whatever the engine says. */
const numberOf = (cell: Cell): number => (cell === null ? NaN : Number(cell) + 0)

function push(column: HistoryColumn, cells: readonly Cell[]): void {
  if (column.kind === 'number') for (const cell of cells) column.numbers.push(numberOf(cell))
  else if (column.kind === 'text') for (const cell of cells) column.texts.push(cell === null ? null : String(cell))
}
