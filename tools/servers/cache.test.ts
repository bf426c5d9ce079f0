import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withLock } from './cache.ts'

let dir: string
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'flasktoria-cache-'))))
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const cacheModule = new URL('cache.ts', import.meta.url).href
/** Another process that runs a script with the functions of cache.ts. */
const inProcess = (script: string) =>
  spawn(
    process.execPath,
    ['--input-type=module-typescript', '-e', `import * as cache from '${cacheModule}'\n${script}`],
    {
      env: { ...process.env, FLASKTORIA_CACHE: dir },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )

test('work under one lock never overlaps', async () => {
  const file = join(dir, 'a.lock')
  let inside = 0
  const most: number[] = []
  const work = async () => {
    inside += 1
    most.push(inside)
    await new Promise((resolve) => setTimeout(resolve, 5))
    inside -= 1
  }
  await Promise.all([withLock(file, work), withLock(file, work), withLock(file, work)])
  expect(most).toEqual([1, 1, 1])
})

test('the lock is free again after work that failed', async () => {
  const file = join(dir, 'a.lock')
  await expect(withLock(file, () => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full')
  expect(await withLock(file, async () => 'free')).toBe('free')
})

test('a holder that was killed leaves no lock behind', async () => {
  const file = join(dir, 'a.lock')
  const holder = inProcess(
    `await cache.withLock('${file}', () => { console.log('held'); return new Promise(() => setInterval(() => {}, 1000)) })`,
  )
  await once(holder.stdout, 'data')
  holder.kill('SIGKILL')
  expect(await withLock(file, async () => 'free')).toBe('free')
})

test('two processes that want the same folder fill it once', async () => {
  const fill = `
    import { appendFileSync, writeFileSync } from 'node:fs'
    await cache.cached('tool', async (folder) => {
      appendFileSync('${dir}/fills', 'x')
      await new Promise((resolve) => setTimeout(resolve, 200))
      writeFileSync(folder + '/ready', 'yes')
    })`
  await Promise.all([inProcess(fill), inProcess(fill)].map((child) => once(child, 'exit')))
  expect(readFileSync(join(dir, 'fills'), 'utf8')).toBe('x')
  expect(readFileSync(join(dir, 'tool', 'ready'), 'utf8')).toBe('yes')
})

test('a folder that could not be filled is not there', async () => {
  const fill = `await cache.cached('tool', () => Promise.reject(new Error('offline'))).catch(() => console.log('failed'))
    console.log(await cache.cached('tool', async () => {}))`
  const child = inProcess(fill)
  let said = ''
  child.stdout.on('data', (chunk) => (said += chunk))
  await once(child, 'close')
  expect(said).toBe(`failed\n${join(dir, 'tool')}\n`)
})
