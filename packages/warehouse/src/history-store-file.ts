import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { dayDirectory, fileName, isFileOf, listDays, listFiles, type HistoryTable } from './history-layout.ts'
import type { HistoryStore, Place } from './history-store.ts'

/** Beside the tables, so that a rename stays inside the file system and no engine ever looks there. */
const workshopName = '.incoming'
const leftoverAgeMs = 3_600_000

/** A folder of this machine, or one that is mounted. */
export async function openFileStore(path: string): Promise<HistoryStore> {
  const directory = resolve(path)
  const workshop = join(directory, workshopName)
  await mkdir(workshop, { recursive: true })
  await removeLeftovers(workshop)
  const folderOf = ({ table, day }: Place) => join(directory, table.directory, dayDirectory(day))

  return {
    name: directory,
    location: pathToFileURL(directory).href,
    workshop,
    prepare: async (table) => {
      await mkdir(join(directory, table.directory), { recursive: true })
    },
    listDays: (table: HistoryTable) => listDays(directory, table),
    listFiles: async ({ table, day }, stream) =>
      (await listFiles(directory, table, day)).filter((name) => stream === undefined || isFileOf(stream, name)),
    async put(place, file, content, isWanted) {
      const folder = folderOf(place)
      const draft = join(workshop, `${randomUUID()}.parquet`)
      try {
        await writeDurably(draft, content)
        if (isWanted && !(await isWanted())) return false
        const made = await mkdir(folder, { recursive: true })
        await rename(draft, join(folder, fileName(file)))
        await syncToDisk(folder)
        if (made !== undefined) await syncAncestors(folder, dirname(made))
        return true
      } finally {
        await rm(draft, { force: true })
      }
    },
    withPaths: (place, names, use) => use(names.map((name) => join(folderOf(place), name))),
    remove: async (place, names) => {
      await Promise.all(names.map((name) => rm(join(folderOf(place), name), { force: true })))
    },
    removeDay: (place) => rm(folderOf(place), { recursive: true, force: true }),
  }
}

async function writeDurably(path: string, content: Buffer): Promise<void> {
  await using file = await open(path, 'wx')
  await file.writeFile(content)
  await file.sync()
}

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
