import { constants } from 'node:fs'
import { access, mkdir, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { messageOf, ok, warning, wrong, type Chart, type Judgement } from './chart.ts'

const gibibyte = 2 ** 30
const leastBytes = { wrong: gibibyte, warning: 10 * gibibyte }
const leastInodeShare = 0.05

/** Can the history writer write, and for how long? */
export async function examineDisk(chart: Chart, directory: string): Promise<void> {
  const folder = resolve(directory)
  const isWritable = await chart.check('folder', () => tryToWrite(folder), {
    failed: (error) =>
      wrong(
        `${folder}: ${messageOf(error)}`,
        'Let HISTORY_DIR name a folder that the user of kafka-ingest may write in.',
      ),
  })
  if (!isWritable) return chart.unchecked(['room'], 'the folder can not be used')
  await chart.check('room', async () => judgeRoom(await statfs(await nearestFolder(folder), { bigint: false })))
}

/** As the history writer does: under another name first. What is not there yet is not made. */
async function tryToWrite(folder: string): Promise<Judgement> {
  const existing = await nearestFolder(folder)
  if (existing !== folder) {
    await access(existing, constants.W_OK | constants.X_OK)
    return ok(`${folder} does not exist yet, and can be made`)
  }
  const trial = join(folder, `.doctor-${process.pid}`)
  try {
    await mkdir(trial)
    await writeFile(join(trial, 'one'), 'written')
    await rename(join(trial, 'one'), join(trial, 'other'))
  } finally {
    await rm(trial, { recursive: true, force: true })
  }
  return ok(`${folder} can be written in`)
}

async function nearestFolder(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path))
    try {
      await access(path)
      return path
    } catch (error) {
      if (dirname(path) === path || !(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
}

type Room = Record<'bavail' | 'bsize' | 'blocks' | 'files' | 'ffree', number>

export function judgeRoom({ bavail, bsize, blocks, files, ffree }: Room): Judgement {
  const free = bavail * bsize
  const says = `${(free / gibibyte).toFixed(1)} of ${((blocks * bsize) / gibibyte).toFixed(0)} GiB are free`
  const advice =
    'Free some, or let HISTORY_DIR name a larger disk; when it is full the history waits, live data goes on.'
  if (free < leastBytes.wrong) return wrong(says, advice)
  if (free < leastBytes.warning) return warning(says, advice)
  if (files > 0 && ffree / files < leastInodeShare)
    return warning(`${says}, but only ${ffree} of ${files} inodes`, 'Find out who makes so many files there.')
  return ok(says)
}
