import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findDaemon, freePort, isListening, launch, logFile, startDaemon, type DaemonPlan } from './daemon.ts'

let dir: string
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'flasktoria-daemon-'))))
afterEach(async () => {
  await findDaemon({ dir, name: 'echo' })?.kill()
  rmSync(dir, { recursive: true, force: true })
})

const node = (script: string, port: number): DaemonPlan => ({
  name: 'echo',
  dir,
  port,
  command: [process.execPath, '-e', script],
})
const server = (port: number) =>
  node(`require('net').createServer().listen(${port}, '127.0.0.1'); console.log('listening')`, port)

test('a started process answers, is found again by its pid file, and ends when it is asked to', async () => {
  const port = await freePort()
  const daemon = await startDaemon(server(port), () => isListening(port), 10_000)
  expect(findDaemon({ dir, name: 'echo' })?.pid).toBe(daemon.pid)
  await daemon.stop()
  expect(findDaemon({ dir, name: 'echo' })).toBeUndefined()
  expect(await isListening(port)).toBe(false)
})

test('starting what runs already leaves it as it is', async () => {
  const port = await freePort()
  const first = await startDaemon(server(port), () => isListening(port), 10_000)
  const second = await startDaemon(server(port), () => isListening(port), 10_000)
  expect(second.pid).toBe(first.pid)
})

test('a process that ends before it answers is reported with the end of its log', async () => {
  const broken = node(`console.error('no such table'); process.exit(2)`, await freePort())
  await expect(startDaemon(broken, async () => false, 10_000)).rejects.toThrow(
    /ended while it started[^]*no such table/,
  )
})

test('a process that never answers is not left running', async () => {
  const port = await freePort()
  await expect(startDaemon(server(port), async () => false, 300)).rejects.toThrow('does not answer after 0.3 s')
  expect(await isListening(port)).toBe(false)
})

test('a port that another program has is named before anything is started', async () => {
  const port = await freePort()
  const daemon = await startDaemon(server(port), () => isListening(port), 10_000)
  await expect(startDaemon({ ...server(port), name: 'other' }, async () => true, 1_000)).rejects.toThrow(String(port))
  expect(findDaemon({ dir, name: 'other' })).toBeUndefined()
  await daemon.stop()
})

test('a recycled pid is not taken for the process of the pid file', () => {
  writeFileSync(join(dir, 'echo.process'), `${process.pid} 1\n`)
  expect(findDaemon({ dir, name: 'echo' })).toBeUndefined()
})

test('a leader killed from outside takes its orphans with it at the next start', async () => {
  const port = await freePort()
  const worker = `require('net').createServer().listen(${port}, '127.0.0.1')`
  const leader = node(`require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(worker)}])`, port)
  const first = await startDaemon(leader, () => isListening(port), 10_000)
  process.kill(first.pid, 'SIGKILL')
  await expect.poll(() => findDaemon({ dir, name: 'echo' })).toBeUndefined()
  expect(await isListening(port)).toBe(true)
  await launch(node('setInterval(() => {}, 1000)', port))
  await expect.poll(() => isListening(port)).toBe(false)
})

test('the log of a process that comes back goes on where it ended', async () => {
  const port = await freePort()
  const plan = server(port)
  for (const round of [1, 2]) {
    const daemon = await startDaemon(plan, () => isListening(port), 10_000)
    await expect.poll(() => readFileSync(logFile(plan), 'utf8')).toBe('listening\n'.repeat(round))
    await daemon.kill()
  }
})
