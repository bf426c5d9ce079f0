import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { HistoryColumns, type ParquetRow } from './history-columns.ts'
import { fileName, type HistoryFile, type HistoryTable } from './history-layout.ts'
import { openFileStore } from './history-store-file.ts'
import type { HistoryStore, IsWanted } from './history-store.ts'
import { encodeParquet } from './parquet-encoder.ts'
import { openParquetMerger } from './warehouse-duckdb.ts'

export type { ParquetRow }

/** Rows from one up to another, not included. */
export type RowRange = { rows: HistoryColumns; from: number; to: number }

/** Puts Parquet files into the layout. Each appears whole or not at all, and is there to stay when the call resolves. */
export async function openParquetWriter(options: { directory: string } | { store: HistoryStore }) {
  const store = 'store' in options ? options.store : await openFileStore(options.directory)
  const merger = await openParquetMerger({ directory: dirname(store.workshop), threads: 1 })

  let lastTurn: Promise<unknown> = Promise.resolve()
  /** One merge at a time: each takes memory. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = lastTurn.then(work, work)
    lastTurn = turn
    return turn
  }

  const merge = async (table: HistoryTable, day: number, files: readonly HistoryFile[]): Promise<HistoryFile> => {
    const place = { table, day }
    const names = files.map(fileName)
    const merged: HistoryFile = {
      stream: files[0]!.stream,
      first: Math.min(...files.map(({ first }) => first)),
      last: Math.max(...files.map(({ last }) => last)),
    }
    const areThere = async () => {
      const present = new Set(await store.listFiles(place, merged.stream))
      return names.every((name) => present.has(name))
    }
    const draft = join(store.workshop, `${randomUUID()}.parquet`)
    try {
      await store.withPaths(place, names, (paths) => merger.merge(table, paths, draft))
      if (!(await store.put(place, merged, await readFile(draft), areThere)))
        throw new Error(`another instance merges into ${fileName(merged)} too`)
    } finally {
      await rm(draft, { force: true })
    }
    await store.remove(place, names)
    return merged
  }

  return {
    store,

    /** False, and nothing done, if `isWanted`, asked just before the file appears, says no. */
    write: async (
      table: HistoryTable,
      day: number,
      file: HistoryFile,
      content: RowRange | readonly ParquetRow[],
      isWanted?: IsWanted,
    ): Promise<boolean> => {
      const { rows, from, to } = 'rows' in content ? content : allOf(new HistoryColumns(table, content))
      return store.put({ table, day }, file, await encodeParquet(rows, from, to), isWanted)
    },

    /** Makes at least two neighbours of one stream into one file. For a moment both are seen; the names tell the old ones. */
    merge: (table: HistoryTable, day: number, files: readonly HistoryFile[]): Promise<HistoryFile> =>
      inTurn(() => merge(table, day, files)),

    /** Waits for the merge under way. */
    close: (): Promise<void> => inTurn(async () => merger.close()),
  }
}
export type ParquetWriter = Awaited<ReturnType<typeof openParquetWriter>>

const allOf = (rows: HistoryColumns): RowRange => ({ rows, from: 0, to: rows.length })
