import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { dayDirectory, fileName, listFiles, type HistoryFile, type HistoryTable } from './history-layout.ts'
import { openParquetEncoder, type ParquetRow } from './warehouse-duckdb.ts'

export type { ParquetRow }

/** Beside the tables, so that a rename stays inside the file system and no engine ever looks there. */
const workshop = '.incoming'
const leftoverAgeMs = 3_600_000

/**
 * Puts Parquet files into the layout. Each appears whole or not at all, and is on the disk, name and content, when the call
 * resolves. Calls take turns.
 */
export async function openParquetWriter(options: { directory: string; memoryLimitMb?: number }) {
  const directory = resolve(options.directory)
  await mkdir(join(directory, workshop), { recursive: true })
  await removeLeftovers(join(directory, workshop))
  const encoder = await openParquetEncoder({ threads: 1, ...options, directory })

  let lastTurn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = lastTurn.then(work, work)
    lastTurn = turn
    return turn
  }

  const publish = async (
    { table, day, file, isWanted }: Publication,
    make: (path: string) => Promise<void>,
  ): Promise<boolean> => {
    const folder = join(directory, table.directory, dayDirectory(day))
    const draft = join(directory, workshop, `${randomUUID()}.parquet`)
    try {
      await make(draft)
      await syncToDisk(draft)
      if (isWanted && !(await isWanted())) return false
      const made = await mkdir(folder, { recursive: true })
      await rename(draft, join(folder, fileName(file)))
      await syncToDisk(folder)
      if (made !== undefined) await syncAncestors(folder, dirname(made))
      return true
    } finally {
      await rm(draft, { force: true })
    }
  }

  const merge = async (table: HistoryTable, day: number, files: readonly HistoryFile[]): Promise<HistoryFile> => {
    const folder = join(directory, table.directory, dayDirectory(day))
    const paths = files.map((file) => join(folder, fileName(file)))
    const merged: HistoryFile = {
      stream: files[0]!.stream,
      first: Math.min(...files.map(({ first }) => first)),
      last: Math.max(...files.map(({ last }) => last)),
    }
    const areThere = async () => {
      const names = new Set(await listFiles(directory, table, day))
      return files.every((file) => names.has(fileName(file)))
    }
    if (!(await publish({ table, day, file: merged, isWanted: areThere }, (path) => encoder.merge(table, paths, path))))
      throw new Error(`another instance merges into ${fileName(merged)} too`)
    await Promise.all(paths.map((path) => rm(path, { force: true })))
    return merged
  }

  return {
    /** False, and nothing done, if `isWanted`, asked just before the file appears, says no. */
    write: (
      table: HistoryTable,
      day: number,
      file: HistoryFile,
      rows: readonly ParquetRow[],
      isWanted?: () => Promise<boolean>,
    ): Promise<boolean> =>
      inTurn(() => publish({ table, day, file, isWanted }, (path) => encoder.encode(table, rows, path))),

    /** Makes at least two neighbours of one stream into one file. For a moment both are seen; the names tell the old ones. */
    merge: (table: HistoryTable, day: number, files: readonly HistoryFile[]): Promise<HistoryFile> =>
      inTurn(() => merge(table, day, files)),

    remove: (table: HistoryTable, day: number, name: string): Promise<void> =>
      inTurn(() => rm(join(directory, table.directory, dayDirectory(day), name), { force: true })),

    /** Waits for the call under way. */
    close: (): Promise<void> => inTurn(async () => encoder.close()),
  }
}
type Publication = {
  table: HistoryTable
  day: number
  file: HistoryFile
  isWanted?: (() => Promise<boolean>) | undefined
}

export type ParquetWriter = Awaited<ReturnType<typeof openParquetWriter>>

async function syncToDisk(path: string): Promise<void> {
  await using file = await open(path, 'r')
  await file.sync()
}

/** The folders above one, up to and including another: their entries are content too. */
async function syncAncestors(folder: string, last: string): Promise<void> {
  for (let path = dirname(folder); ; path = dirname(path)) {
    await syncToDisk(path)
    if (path === last || path === dirname(path)) return
  }
}

/** What a killed process had not finished. Younger files may belong to another writer that is at work. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const facts = await stat(path).catch(() => undefined)
    if (facts && Date.now() - facts.mtimeMs > leftoverAgeMs) await rm(path, { force: true })
  }
}
