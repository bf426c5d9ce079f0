import { operations } from '@flasktoria/contracts/rest'
import { expect, test } from 'vitest'
import { createTestApp } from './test-app.ts'

const get = (path: string) => createTestApp().app.request(path)

test('the definitions are those of the contract', async () => {
  for (const path of ['/api/swagger.json', '/api/openapi.json']) {
    const document = (await (await get(path)).json()) as { openapi: string; paths: object }
    expect(document.openapi).toMatch(/^3\.1/)
    expect(Object.keys(document.paths).toSorted()).toEqual(
      Object.values(operations)
        .map(({ path: own }) => own)
        .toSorted(),
    )
  }
  expect(await (await get('/api/asyncapi.json')).json()).toMatchObject({ asyncapi: expect.stringMatching(/^3\./) })
})

test('everything that the page needs comes from here, and no script stands in the page', async () => {
  const page = await get('/api/ui/')
  expect(page.headers.get('Content-Type')).toBe('text/html; charset=utf-8')
  expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'self'")
  const html = await page.text()
  expect(html).not.toMatch(/<script>|https?:|\/\//)
  const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, asset]) => asset!)
  expect(assets).toHaveLength(4)
  for (const asset of assets) {
    const response = await get(`/api/ui/${asset}`)
    expect([response.status, (await response.arrayBuffer()).byteLength > 50], asset).toEqual([200, true])
  }
})

test('without its slash the page is one redirect away', async () => {
  const response = await get('/api/ui')
  expect([response.status, response.headers.get('Location')]).toEqual([308, '/api/ui/'])
})
