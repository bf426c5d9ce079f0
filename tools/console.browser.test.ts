import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { findChromium } from './servers/chromium.ts'

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
