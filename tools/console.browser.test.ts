import type { ClientMessage, ServerMessage } from '@flasktoria/contracts/stream'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { findChromium } from './servers/chromium.ts'

const soon = { timeout: 20_000 }

async function startLocal(): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'flasktoria-browser-'))
  const child = spawn(process.execPath, [new URL('local.ts', import.meta.url).pathname], {
    cwd,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    const ended = once(child, 'exit')
    child.kill('SIGINT')
    await ended
    rmSync(cwd, { recursive: true, force: true })
  })
  for await (const chunk of child.stdout) {
    const origin = /http:\/\/localhost:\d+/.exec(String(chunk))?.[0]
    if (origin) return origin
  }
  throw new Error('npm start did not come up')
}

async function openBrowser() {
  const browser = await chromium.launch(await findChromium())
  onTestFinished(() => browser.close())
  const page = await browser.newPage()
  const outside: string[] = []
  const complaints: string[] = []
  page.on('request', (request) => outside.push(request.url()))
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
  page.on('pageerror', (error) => complaints.push(String(error)))
  return { page, outside, complaints }
}

/** What the page and the hub say to each other. */
function overhear(page: Page) {
  const sent: ClientMessage[] = []
  const received: ServerMessage[] = []
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => sent.push(JSON.parse(String(payload)) as ClientMessage))
    socket.on('framereceived', ({ payload }) => received.push(JSON.parse(String(payload)) as ServerMessage))
  })
  return { sent, received }
}

test('the page at / shows the fleet moving, and the API explains itself, with nothing from elsewhere', async () => {
  const origin = await startLocal()
  const { page, outside, complaints } = await openBrowser()
  await page.goto(`${origin}/`)
  await expect.poll(() => page.textContent('#vehicles'), { timeout: 20_000 }).toBe('50')
  expect(await page.textContent('#state')).toBe('open')
  const picture = () =>
    page.locator('canvas').evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL())
  const before = await picture()
  await expect.poll(picture, { timeout: 20_000 }).not.toBe(before)

  await page.goto(`${origin}/api/ui/`)
  await page.getByText('/api/sensordata/{vehicle_id}').first().waitFor({ timeout: 20_000 })
  expect(outside.filter((url) => !url.startsWith(origin) && !url.startsWith('data:'))).toEqual([])
  expect(complaints).toEqual([])
})

/** Feels its way over the map, until it hits one. */
async function pointAtVehicle(page: Page) {
  const { x, y, width, height } = (await page.locator('canvas').boundingBox())!
  for (let down = 10; down < height; down += 20)
    for (let along = 10; along < width; along += 20) {
      await page.mouse.click(x + along, y + down)
      if (await page.isVisible('#vehicle')) return
    }
  throw new Error('there is no vehicle on the map')
}

test('the map subscribes to what it shows: a drag makes vehicles leave and enter', async () => {
  const origin = await startLocal()
  const { page, complaints } = await openBrowser()
  const { sent, received } = overhear(page)
  await page.goto(`${origin}/`)
  const count = async () => Number(await page.textContent('#vehicles'))
  await expect.poll(count, soon).toBe(50)
  await expect.poll(() => page.textContent('#age'), soon).toMatch(/^data \d+ s old$/)

  const map = (await page.locator('canvas').boundingBox())!
  const middle = { x: map.x + map.width / 2, y: map.y + map.height / 2 }
  const drag = async (x: number, y: number) => {
    await page.mouse.move(middle.x, middle.y)
    await page.mouse.down()
    await page.mouse.move(middle.x + x, middle.y + y, { steps: 10 })
    await page.mouse.up()
  }
  const askedBox = () => sent.findLast((message) => message.type === 'update')?.bbox
  const came = (isIt: (message: ServerMessage) => boolean) => expect.poll(() => received.some(isIt), soon).toBe(true)

  await page.mouse.move(middle.x, middle.y)
  await page.mouse.wheel(0, -300)
  await came((message) => message.type === 'leave' && message.id === 'map')
  await expect.poll(count, soon).toBeLessThan(50)
  const [west, south, east, north] = askedBox()!

  const before = received.length
  await drag(map.width / 3, map.height / 3)
  await expect.poll(() => askedBox()![0], soon).toBeLessThan(west)
  expect(askedBox()![1]).toBeGreaterThan(south)
  expect(askedBox()![2] - askedBox()![0]).toBeCloseTo(east - west, 3)
  expect(askedBox()![3] - askedBox()![1]).toBeCloseTo(north - south, 3)
  await expect
    .poll(
      () => new Set(received.slice(before).flatMap((one) => ('id' in one && one.id === 'map' ? [one.type] : []))),
      soon,
    )
    .toEqual(new Set(['ack', 'leave', 'snapshot']))
  expect(received.slice(before)).toContainEqual(expect.objectContaining({ type: 'snapshot', reason: 'entered' }))

  await page.click('#fit')
  await expect.poll(count, soon).toBe(50)
  expect(askedBox()).toEqual([-180, -90, 180, 90])
  expect(complaints).toEqual([])
})

test('a vehicle that is pointed at is shown in full, and each reading of a sensor in a chart', async () => {
  const origin = await startLocal()
  const { page, complaints } = await openBrowser()
  const { sent } = overhear(page)
  await page.goto(`${origin}/`)
  await expect.poll(() => page.textContent('#vehicles'), soon).toBe('50')
  await pointAtVehicle(page)
  await page.locator('#sensors button', { hasText: 'Vehicle Speed' }).click({ timeout: 20_000 })
  const readings = async () => Number(/(\d+) readings/.exec((await page.textContent('figcaption')) ?? '')?.[1] ?? 0)
  await expect.poll(readings, soon).toBeGreaterThan(2)
  const first = await readings()
  await expect.poll(readings, soon).toBeGreaterThan(first)
  expect(sent).toContainEqual(expect.objectContaining({ type: 'subscribe', id: 'chart', every: true }))
  await page.click('#deselect')
  await expect.poll(() => page.isVisible('#vehicle'), soon).toBe(false)
  expect(complaints).toEqual([])
})
