import { fleetMapSchema, sensorSeriesSchema, vehicleCostSchema, vehicleDetailsSchema } from '@flasktoria/contracts/rest'
import { plainFrameSchema } from '@flasktoria/contracts/stream'
import type { Update } from '@flasktoria/contracts/updates'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'

const program = new URL('local.ts', import.meta.url).pathname

const freshFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'flasktoria-local-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** `npm start` without npm, in a folder of its own. Resolves when it says that it runs, or ended. */
async function startLocal(args: string[], { cwd = freshFolder(), PORT = '0' } = {}) {
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { ...process.env, PORT },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  let said = ''
  const { promise: running, resolve } = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += String(chunk)
      if (said.includes('Ctrl-C')) resolve()
    })
  const stop = async (): Promise<number | null> => {
    child.kill('SIGINT')
    const [code] = await ended
    return code as number | null
  }
  onTestFinished(async () => void (await stop()))
  await Promise.race([running, ended])
  const origin = /http:\/\/localhost:\d+/.exec(said)?.[0] ?? ''
  const get = async (path: string): Promise<unknown> => (await fetch(origin + path)).json()
  return { child, ended, origin, get, stop, said: () => said, cwd }
}

const soon = { timeout: 20_000, interval: 200 }
const moved = (one: { lat: number; long: number }, other: { lat: number; long: number }) =>
  one.lat !== other.lat || one.long !== other.long

async function updatesOf(url: string, enough: (updates: Update[]) => boolean): Promise<Update[]> {
  const socket = new WebSocket(url)
  onTestFinished(() => socket.terminate())
  const updates: Update[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer) => {
    updates.push(...plainFrameSchema.parse(JSON.parse(data.toString())).updates)
    if (enough(updates)) resolve()
  })
  await promise
  socket.close()
  return updates
}

test('a simulated fleet moves on the map and on the socket, has a history, and survives a restart', async () => {
  const first = await startLocal([])
  const map = async (local: typeof first) => fleetMapSchema.parse(await local.get('/api/map'))
  await expect.poll(async () => (await map(first)).vehicles.length, soon).toBe(50)

  const before = (await map(first)).vehicles
  const moving = async () =>
    (await map(first)).vehicles.filter((now) => before.some((then) => then.id === now.id && moved(then, now)))
  await expect.poll(async () => (await moving()).length, soon).toBeGreaterThan(10)

  const socketUrl = (await map(first)).updateWebSocket
  expect(socketUrl).toMatch(new RegExp(`^ws://localhost:${new URL(first.origin).port}/ws\\?client=`))
  const updates = await updatesOf(socketUrl, (all) => all.some(({ update_type }) => update_type === 'sensordata'))
  expect(new Set(updates.map(({ update_type }) => update_type))).toContain('position')

  const vehicle = (await moving())[0]!.id
  const details = async () => vehicleDetailsSchema.parse(await first.get(`/api/vehicle/${vehicle}`))
  await expect.poll(async () => (await details()).sensordata.speed.length, soon).toBeGreaterThan(1)
  expect(
    vehicleCostSchema.parse(await first.get(`/api/cost/${vehicle}`)).efficiency_index.day.value,
  ).toBeGreaterThanOrEqual(0)
  const question = `/api/sensordata/${vehicle}?sensor_ids=pid_13_mode_1&start_ts=0`
  const speeds = async (local: typeof first) => sensorSeriesSchema.parse(await local.get(question))['pid_13_mode_1']!
  const known = await speeds(first)
  expect(known.length).toBeGreaterThan(1)
  expect((await fetch(`${first.origin}/api/ui/`)).status).toBe(200)
  expect(await (await fetch(`${first.origin}/`)).text()).toContain('<h1>Flasktoria</h1>')
  expect(await (await fetch(`${first.origin}/nowhere`)).json()).toMatchObject({ code: 404 })
  expect(await first.stop()).toBe(0)

  const second = await startLocal([], { cwd: first.cwd })
  expect(await speeds(second)).toEqual(expect.arrayContaining(known))
  expect(await second.stop()).toBe(0)
  expect(readdirSync(join(first.cwd, 'var'))).toEqual(expect.arrayContaining(['history']))
  const leftovers = readdirSync(join(first.cwd, 'var', 'history'), { recursive: true }).map(String)
  expect(leftovers.filter((path) => /tmp|\.part/.test(path))).toEqual([])
})

test('Ctrl-C leaves no process and no port behind', async () => {
  const local = await startLocal([])
  expect(await local.stop()).toBe(0)
  await expect(fetch(`${local.origin}/api/map`)).rejects.toThrow('fetch failed')
})

test('a recording is replayed as if it happened now, each source from its own start', async () => {
  const cwd = freshFolder()
  mkdirSync(cwd, { recursive: true })
  const rows = ['vehicle_id,timestamp_ms,sensor,value']
  for (const [vehicle, start] of [
    ['red-1', 1_490_000_000_000],
    ['blue-1', 1_700_000_000_000],
  ] as const)
    for (let second = 0; second < 60; second++) {
      rows.push(`${vehicle},${start + second * 1_000},gps_coordinates,"[48.${100 + second},11.5]"`)
      rows.push(`${vehicle},${start + second * 1_000},pid_13_mode_1,${second}.5`)
    }
  writeFileSync(join(cwd, 'two.csv.gz'), gzipSync(`${rows.join('\n')}\n`))

  const local = await startLocal(['--recording', 'two.csv.gz', '--speed', '30'], { cwd })
  const vehicles = async () => fleetMapSchema.parse(await local.get('/api/map')).vehicles
  await expect
    .poll(async () => (await vehicles()).map(({ id, lat }) => `${id} ${lat}`).toSorted(), soon)
    .toEqual(['blue-1 48.159', 'red-1 48.159'])
  const series = sensorSeriesSchema.parse(
    await local.get('/api/sensordata/red-1?sensor_ids=pid_13_mode_1&start_ts=1600000000000'),
  )
  expect(series['pid_13_mode_1']!.map(({ value }) => value)).toEqual(
    Array.from({ length: 60 }, (_, index) => 59.5 - index),
  )
})

test.each([
  ['a recording that is not there', ['--recording', 'none.csv'], 'there is no recording none.csv'],
  ['an unknown option', ['--fast'], "Unknown option '--fast'"],
  ['a speed without a recording', ['--speed', '2'], '--speed needs a --recording'],
])('%s is one clear sentence', async (_, args, sentence) => {
  const local = await startLocal(args)
  expect((await local.ended)[0]).toBe(1)
  expect(local.said()).toContain(sentence)
  expect(local.said()).not.toContain('    at ')
  expect(existsSync(join(local.cwd, 'var', 'history'))).toBe(false)
})

test('a taken port is one clear sentence', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  onTestFinished(() => void other.close())
  const address = other.address()
  const PORT = String(typeof address === 'object' && address ? address.port : 0)
  const local = await startLocal([], { PORT })
  expect((await local.ended)[0]).toBe(1)
  expect(local.said()).toContain(`port ${PORT} is taken`)
})
