import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { historyTables } from './history-layout.ts'
import { openFileStore } from './history-store-file.ts'
import { openS3Store } from './history-store-s3.ts'
import type { HistoryStore } from './history-store.ts'
import { startS3, testCredentials } from './s3.test-server.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function openFile(): Promise<HistoryStore> {
  const directory = mkdtempSync(join(tmpdir(), 'history-store-'))
  cleanups.push(() => rmSync(directory, { recursive: true }))
  return openFileStore(directory)
}

async function openS3(prefix = 'fleet/history', secretAccessKey = testCredentials.secretAccessKey) {
  const server = await startS3('bucket')
  cleanups.push(() => server.close())
  const store = await openS3Store({
    bucket: 'bucket',
    prefix,
    endpoint: server.url,
    region: 'us-east-1',
    isPathStyle: true,
    credentials: { ...testCredentials, secretAccessKey },
  })
  cleanups.push(() => store[Symbol.asyncDispose]())
  return { server, store }
}

const place = { table: historyTables.sensor, day: 20261124 }
const file = (first: number, last: number, stream = 'raw-0') => ({ stream, first, last })
const content = Buffer.from('content')

describe.each([
  ['a folder', openFile],
  ['a bucket', async () => (await openS3()).store],
  ['the top of a bucket', async () => (await openS3('')).store],
])('%s', (_, open) => {
  test('shows what was put, and forgets what was removed', async () => {
    const store = await open()
    expect(await store.listDays(place.table)).toEqual([])
    expect(await store.listFiles(place)).toEqual([])
    for (let first = 0; first < 50; first += 10)
      expect(await store.put(place, file(first, first + 9), content)).toBe(true)
    await store.put({ ...place, day: 20261123 }, file(50, 59, 'a~2fb-1'), content)
    expect(await store.listDays(place.table)).toEqual([20261123, 20261124])
    expect(await store.listFiles(place)).toEqual([
      'raw-0-0-9.parquet',
      'raw-0-10-19.parquet',
      'raw-0-20-29.parquet',
      'raw-0-30-39.parquet',
      'raw-0-40-49.parquet',
    ])
    expect(await store.listFiles({ ...place, day: 20261123 })).toEqual(['a~2fb-1-50-59.parquet'])
    await store.remove(place, ['raw-0-10-19.parquet', 'raw-0-99-99.parquet'])
    expect(await store.listFiles(place)).toHaveLength(4)
    await store.removeDay(place)
    await store.removeDay(place)
    expect(await store.listDays(place.table)).toEqual([20261123])
  })

  test('tells the files of one stream from those whose names begin alike', async () => {
    const store = await open()
    await store.put(place, file(0, 9, 'raw-0'), content)
    await store.put(place, file(0, 9, 'raw-0-7'), content)
    expect(await store.listFiles(place, 'raw-0')).toEqual(['raw-0-0-9.parquet'])
  })

  test('puts nothing that is not wanted any more', async () => {
    const store = await open()
    expect(await store.put(place, file(0, 9), content, async () => false)).toBe(false)
    expect(await store.listFiles(place)).toEqual([])
  })

  test('lends files by paths', async () => {
    const store = await open()
    await store.put(place, file(0, 9), content)
    const read = (paths: string[]) => Promise.all(paths.map((path) => readFile(path, 'utf8')))
    expect(await store.withPaths(place, ['raw-0-0-9.parquet'], read)).toEqual(['content'])
  })
})

test('a server that is overloaded for a moment is asked again; a refusal is not', async () => {
  const { server, store } = await openS3()
  server.fail(2)
  await store.put(place, file(0, 9), content)
  expect(await store.listFiles(place)).toHaveLength(1)
  server.fail(3)
  await expect(store.put(place, file(10, 19), content)).rejects.toMatchObject({ status: 503, kind: 'SlowDown' })

  const { server: other, store: stranger } = await openS3('x', 'wrong')
  await expect(stranger.put(place, file(0, 9), content)).rejects.toMatchObject({ kind: 'SignatureDoesNotMatch' })
  expect(other.requests()).toBe(1)
})

test('a server that is gone is an error that says so', async () => {
  const { server, store } = await openS3()
  await server.close()
  await expect(store.listDays(place.table)).rejects.toMatchObject({ name: 'S3Error', kind: 'unreachable' })
})
