import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dayDirectory, dayOfDirectory, fileName, isFileOf, isParquet } from './history-layout.ts'
import type { HistoryStore, Place } from './history-store.ts'
import { S3Bucket, type S3BucketOptions } from './s3-bucket.ts'

export type S3StoreOptions = S3BucketOptions & {
  /** Folders above the tables, without a slash at either end; empty: the tables lie at the top of the bucket. */
  prefix: string
}

/**
 * A bucket of any server that speaks S3. An object appears whole or not at all, and listings show it from then on, so its name
 * says as much as that of a file. Merges work on copies in a folder of this machine.
 */
export async function openS3Store({ prefix, ...options }: S3StoreOptions): Promise<HistoryStore & AsyncDisposable> {
  const bucket = new S3Bucket(options)
  const own = await mkdtemp(join(tmpdir(), 'flasktoria-history-'))
  const workshop = join(own, 'incoming')
  await mkdir(workshop)
  const above = prefix === '' ? '' : `${prefix}/`
  const folderOf = ({ table, day }: Place) => `${above}${table.directory}/${dayDirectory(day)}/`
  const removeAll = async (keys: readonly string[]) => {
    for (const key of keys) await bucket.remove(key)
  }

  return {
    name: `s3://${options.bucket}/${prefix}`,
    // As Hadoop's engines call it.
    location: `s3a://${options.bucket}/${prefix}`.replace(/\/$/, ''),
    workshop,
    // There are no folders.
    prepare: async () => {},
    async listDays(table) {
      const names = await bucket.list(`${above}${table.directory}/`)
      return names.flatMap((name) => (name.endsWith('/') ? (dayOfDirectory(name.slice(0, -1)) ?? []) : []))
    },
    async listFiles(place, stream) {
      const folder = folderOf(place)
      // A partition's files begin alike: the server has the longer list.
      const start = stream === undefined ? '' : `${stream}-`
      const names = (await bucket.list(folder + start)).map((name) => start + name)
      return names.filter((name) => isParquet(name) && (stream === undefined || isFileOf(stream, name)))
    },
    async put(place, file, content, isWanted) {
      if (isWanted && !(await isWanted())) return false
      await bucket.put(folderOf(place) + fileName(file), content)
      return true
    },
    async withPaths(place, names, use) {
      const folder = join(workshop, randomUUID())
      await mkdir(folder)
      try {
        const paths: string[] = []
        for (const name of names) {
          const path = join(folder, name)
          await writeFile(path, await bucket.get(folderOf(place) + name))
          paths.push(path)
        }
        return await use(paths)
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
    remove: (place, names) => removeAll(names.map((name) => folderOf(place) + name)),
    async removeDay(place) {
      const folder = folderOf(place)
      await removeAll((await bucket.list(folder)).map((name) => folder + name))
    },
    [Symbol.asyncDispose]: () => rm(own, { recursive: true, force: true }),
  }
}
