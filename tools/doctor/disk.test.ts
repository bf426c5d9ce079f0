import { openS3Store } from '@flasktoria/warehouse/history-store-s3'
import { startS3, testCredentials } from '@flasktoria/warehouse/s3.test-server'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { examineBucket } from './bucket.ts'
import { examineDisk } from './disk.ts'
import { findingsOf } from './findings.ts'

const dir = mkdtempSync(join(tmpdir(), 'flasktoria-doctor-disk-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const examine = (folder: string) => findingsOf((chart) => examineDisk(chart, folder), 'disk')

test('a folder that can be written in, and nothing is left in it', async () => {
  const { of } = await examine(dir)
  expect(of('folder')).toMatchObject({ status: 'ok', says: `${dir} can be written in` })
  expect(of('room')?.says).toMatch(/GiB are free$/)
  expect(readdirSync(dir)).toEqual([])
})

test('a folder that is not there yet is not made', async () => {
  const folder = join(dir, 'history', 'of', 'vehicles')
  expect((await examine(folder)).of('folder')).toMatchObject({ says: `${folder} does not exist yet, and can be made` })
  expect(readdirSync(dir)).toEqual([])
})

test('a folder that can not be one is wrong, and its room is not guessed', async () => {
  const file = join(dir, 'file')
  writeFileSync(file, '')
  const { of } = await examine(join(file, 'history'))
  expect(of('folder')).toMatchObject({ status: 'wrong', says: expect.stringContaining('ENOTDIR') })
  expect(of('room')).toMatchObject({ status: 'unchecked' })
  rmSync(file)
})

async function examineS3({ bucket = 'history', secretAccessKey = testCredentials.secretAccessKey }) {
  const server = await startS3('history')
  try {
    const credentials = { ...testCredentials, secretAccessKey }
    await using store = await openS3Store({
      bucket,
      prefix: 'fleet',
      endpoint: server.url,
      region: 'us-east-1',
      isPathStyle: true,
      credentials,
    })
    const { of } = await findingsOf((chart) => examineBucket(chart, store), 'disk')
    return { bucket: of('bucket'), objects: [...server.objects.keys()] }
  } finally {
    await server.close()
  }
}

test('a bucket is tried as the history writer uses it, and left as it was', async () => {
  expect(await examineS3({})).toMatchObject({
    bucket: { status: 'ok', says: 'we may list, write, read and remove in s3://history/fleet' },
    objects: [],
  })
})

test('a bucket that is not there, and a key that is wrong, say so', async () => {
  expect((await examineS3({ bucket: 'other' })).bucket).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('NoSuchBucket'),
  })
  expect((await examineS3({ secretAccessKey: 'guessed' })).bucket).toMatchObject({
    status: 'wrong',
    says: expect.stringContaining('SignatureDoesNotMatch'),
    advice: expect.stringContaining('s3:ListBucket'),
  })
})
