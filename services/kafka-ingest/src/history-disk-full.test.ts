import { execFile } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Gives the program a small disk that nobody else sees, and that goes with it. */
const onSmallDisk = ['-Urm', 'sh', '-c', 'mount -t tmpfs -o size=1m flasktoria "$0" && exec "$@"']

test(
  'a full disk makes the history wait, loses nothing, and is noticed when it has room',
  { timeout: 60_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'history-disk-full-'))
    const program = join(import.meta.dirname, 'history-disk-full.test-process.ts')
    const args = [...onSmallDisk, folder, process.execPath, program, folder]
    const { stdout } = await promisify(execFile)('unshare', args).finally(() => rmdirSync(folder))
    expect(JSON.parse(stdout)).toEqual({
      failing: 'the history does not reach the disk: ENOSPC',
      isWaiting: true,
      safeWhileFull: [{ topic: 'raw', partition: 0, offset: 100 }],
      drafts: 0,
      countWhileFull: [100, 100],
      failingAfter: 'nothing',
      countAfter: [1_000, 1_000],
    })
  },
)
