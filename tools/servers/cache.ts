import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Sentence } from './run.ts'

/** Where fetched programs live between runs. */
export const cacheDir = process.env['FLASKTORIA_CACHE'] || join(homedir(), '.cache', 'flasktoria')

/**
 * Runs `work` while no other process of this machine holds the same lock. The kernel holds it for `flock`, which ends with
 * its standard input: so a run that was killed never leaves a lock behind.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true })
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const isOver = once(holder, 'exit')
  isOver.catch(() => {})
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      isOver.then(() => Promise.reject(new Sentence(`the lock ${file} could not be taken`))),
    ])
  } catch (cause) {
    throw new Sentence(`flock (Debian package util-linux) is needed to lock ${file}`, { cause })
  }
  try {
    return await work()
  } finally {
    holder.stdin.end()
    await isOver
  }
}

/** The folder `cacheDir/name`, filled once on this machine. It is there completely or not at all. */
export async function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheDir, name)
  if (existsSync(folder)) return folder
  return withLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return folder
    const unfinished = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`))
    try {
      await fill(unfinished)
      renameSync(unfinished, folder)
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
    return folder
  })
}
